// What the unit tests use of node, instead of the whole of its types.
declare module "node:test" {
  export default function test(name: string, run: () => void | Promise<void>): void;
}
declare module "node:assert/strict" {
  const assert: {
    (value: unknown, message?: string): asserts value;
    equal(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    throws(run: () => unknown, pattern?: RegExp): void;
  };
  export default assert;
}
declare module "node:inspector" {
  /** A session with this process's own inspector: an answer comes before post returns. */
  export class Session {
    connect(): void;
    disconnect(): void;
    post(method: string, parameters?: object, answer?: (err: unknown, reply: { result: { url: string; functions: { ranges: { count: number }[] }[] }[] }) => void): void;
  }
}
