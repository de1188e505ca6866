import type { Argument, Command, Option } from 'commander';
import type { CommandNode } from '../view/completion.ts';

/** The commands as completion needs them; hidden ones left out. */
export function treeOf(command: Command): CommandNode {
  const help = command.createHelp();
  return {
    names: [command.name(), ...command.aliases()],
    summary: command.description(),
    commands: help
      .visibleCommands(command)
      .filter(({ parent }) => parent === command)
      .filter((sub) => sub.name() !== 'help')
      .map(treeOf),
    options: help.visibleOptions(command).map(optionOf),
    argument: argumentOf(command.registeredArguments[0]),
  };
}

const optionOf = ({ long, short, description, required, argChoices }: Option) => ({
  names: [long, short].filter((name) => name !== undefined && name !== null),
  summary: description,
  takesValue: required,
  choices: argChoices ?? [],
});

function argumentOf(argument: Argument | undefined): CommandNode['argument'] {
  if (!argument) return undefined;
  return argument.argChoices ? { choices: argument.argChoices } : { kind: argument.name() };
}
