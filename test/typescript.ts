/** Arguments of node with which it runs this repository's TypeScript, whatever its working folder is. */
export const typescript = ['--import', new URL('../infra/test/typescript.js', import.meta.url).href];
