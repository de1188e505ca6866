// node --import FILE: runs this repository's TypeScript. A file is turned into JavaScript once, and kept in .lab/compiled:
// tsx does it again in each process, and looks through all packages besides, which doubles the time until a test begins.
import { register } from 'node:module';

register('./typescript-hooks.js', import.meta.url);
