/** Longest that an outcome waits for a neighbor: one that lives answers at once. */
const PATIENCE_MS = 20;
/** So long counts what a neighbor said, or did not say. */
const FRESH_MS = 5000;

/**
 * Asks whether neighbors answer, each once for all who want to know at the same time, without holding an outcome up: who
 * has not answered in {@link PATIENCE_MS} is asked on, and the next one to ask gets the result.
 *
 * @param ask takes hundreds of ms for a neighbor that is dead; undefined when it cannot be told
 * @param steady milliseconds that only grow
 */
export function createNeighbors(
  ask: (address: string) => Promise<boolean | undefined>,
  steady: () => number,
): (address: string) => Promise<boolean | undefined> {
  const asking = new Map<string, Promise<boolean | undefined>>();
  const said = new Map<string, { answers: boolean; at: number }>();
  const begin = (address: string) => {
    const question = ask(address)
      .catch(() => undefined)
      .then((answers) => {
        asking.delete(address);
        if (answers === undefined) said.delete(address);
        else said.set(address, { answers, at: steady() });
        return answers;
      });
    asking.set(address, question);
    return question;
  };
  return (address) =>
    new Promise((resolve) => {
      const known = said.get(address);
      const late = () => resolve(known && steady() - known.at < FRESH_MS ? known.answers : undefined);
      const timer = setTimeout(late, PATIENCE_MS);
      void (asking.get(address) ?? begin(address)).then((answers) => {
        clearTimeout(timer);
        resolve(answers);
      });
    });
}
