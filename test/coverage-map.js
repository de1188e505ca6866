// Every line of src/core is reached from test/core: it is pure, so there is no excuse. The rest is proven where it
// works, on a real kernel, and there no coverage is counted.
export default (test) =>
  test.startsWith('test/core/') || test.startsWith('test/scenarios/')
    ? test.replace(/^test\/(.*)\.test\.ts$/, 'src/$1.ts')
    : null;
