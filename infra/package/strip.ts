/** Which files of an installed npm package are never used at run time on Linux. Paths are relative to the package. */

/** What no program of ours reads: types, sources in other languages, documentation, leftovers of a build. */
const unusedEndings =
  /\.(d\.[cm]?ts|[cm]?tsx?|map|md|markdown|html|ya?ml|txt|c|cc|cpp|h|hh|inc|S|asm|def|gypi?|sh|png|jpe?g|svg|br|gz|zip|flow|private|tgz)$/;
const unusedFolders =
  /^(tests?|__tests__|docs?|examples?|bench|benchmarks?|benchmark-.*|coverage|website|fixtures|bin|scripts|\.github|\.vscode)\//;
const hidden = /(^|\/)\.[^/]+/;
const unusedFiles =
  /(^|\/)(Makefile|package-lock\.json|tsconfig[^/]*\.json|biome\.json|eslint\.config\.[cm]?js|tap-parallel-not-ok|[^/]+\.test\.[cm]?js)$|^(bin|cli|tests?|bench|benchmark|example)\.[cm]?js$/;

/** Whole parts of single packages, and why. */
const unusedParts: Readonly<Record<string, RegExp>> = {
  // What it was compiled from, and what compiles it; src/koffi/*.js is its entry.
  koffi: /^(vendor|lib|doc)\/|^(cnoke|src\/koffi\/src\/trampolines)\.cjs$/,
  // Debian's C library is glibc.
  '@koromix/koffi-linux-x64': /^musl_/,
  '@koromix/koffi-linux-arm64': /^musl_/,
  // Of it only constants and structures are used, never its sockets.
  netlink: /^(prebuilds|src)\//,
  // Headers for its sockets, and what finds them.
  'node-addon-api': /./,
  'node-gyp-build': /./,
  // What a browser would load.
  yaml: /^browser\//,
};

export const isLicence = (path: string): boolean => /(^|\/)(licen[cs]e|copying|notice)[^/]*$/i.test(path);

/** Whether a file of a package is left out of what is shipped. Licences are always kept. */
export const isUnused = (packageName: string, path: string): boolean =>
  unusedParts[packageName]?.test(path) === true ||
  (!isLicence(path) && [unusedEndings, unusedFolders, hidden, unusedFiles].some((rule) => rule.test(path)));

/** Whether a package has anything to run, of its files that are left; the others (types alone) are left out whole. */
export const isRun = (paths: readonly string[]): boolean => paths.some((path) => /\.([cm]?js|node)$/.test(path));
