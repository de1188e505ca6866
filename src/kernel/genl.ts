import { Commands, formatMessage, parseMessage } from 'netlink/dist/genl/structs.js';
import { AttrStream, formatGenlHeader, GENL_HEADER_LENGTH } from 'netlink/dist/structs.js';
import { writeBytes } from './attributes.ts';
import { KernelError, malformed } from './errors.ts';
import type { Message } from './messages.ts';
import type { Netlink } from './netlink.ts';

/** Message type of generic netlink's own family (GENL_ID_CTRL, linux/genetlink.h). */
const CONTROLLER = 16;

/** Number of a generic netlink family, or undefined where the kernel has none of that name; asking loads its module. Throws KernelError. */
export function familyId(netlink: Netlink, name: string): number | undefined {
  const question = new AttrStream();
  question.emit(formatGenlHeader({ cmd: Commands.GET_FAMILY, version: 1 }));
  question.emit(formatMessage({ familyName: name }));
  const write = (to: Parameters<typeof writeBytes>[0]) => writeBytes(to, Buffer.concat(question.bufs));
  try {
    return netlink.ask({ doing: `find ${name} in the kernel`, type: CONTROLLER, write }, readFamilyId)[0];
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function readFamilyId({ buffer, start, end }: Message): number | undefined {
  try {
    return parseMessage(buffer.subarray(start + GENL_HEADER_LENGTH, end)).familyId;
  } catch (error) {
    throw malformed((error as Error).message);
  }
}
