import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { type ApiCode, CodedError, catalogue, type FieldError, RequestError } from '../errors.ts';
import type { Problem } from '../schema.ts';

const mediaType = 'application/problem+json';

/** The wrong fields of a zod error, each with its dotted path and what would be right. */
export function fieldErrors(error: z.ZodError): FieldError[] {
  return error.issues.flatMap((issue) => fieldsOf(issue as z.core.$ZodIssue));
}

function fieldsOf(issue: z.core.$ZodIssue): FieldError[] {
  const path = issue.path.map(String);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: [...path, key].join('.'),
        message: 'there is no such field; take it out, or correct its name (GET /openapi.json lists them)',
      }));
    case 'invalid_key':
      return [{ path: path.join('.'), message: issue.issues[0]?.message ?? issue.message }];
    default:
      return [{ path: path.join('.'), message: plain(issue.message) }];
  }
}

/** The library's own words for a wrong type, made plain; all others come from the schema. */
function plain(message: string): string {
  const [, type, received] = /^Invalid input: expected (\w+), received (\w+)$/.exec(message) ?? [];
  if (!type) return message;
  const wanted = { record: 'an object', object: 'an object', array: 'an array' }[type] ?? `a ${type}`;
  return received === 'undefined' ? `it is missing; ${wanted} belongs here` : `${wanted} belongs here, not ${received}`;
}

/** The one place where failures become answers (RFC 9457). */
export function answerProblem(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const [code, message, fields] = classify(error);
  const { status, title, retryable } = catalogue[code];
  // The loop that is not ready has its own log.
  if (status >= 500 && code !== 'NOT_READY') request.log.error({ err: error }, 'request failed');
  if (retryable) reply.header('retry-after', '1');
  const problem: Problem = { type: 'about:blank', title, status, code, detail: message, ...withFields(fields) };
  // As bytes, since fastify adds a charset to text, which JSON has none of (RFC 8259, 11).
  reply
    .code(status)
    .type(mediaType)
    .send(Buffer.from(JSON.stringify(problem)));
}

/** Answers what is no HTTP request at all, or comes too slowly, and ends the connection. */
export function answerUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    endWith(socket, 'REQUEST_TIMEOUT', 'the request did not come whole in time; nothing was done');
  else endWith(socket, 'INVALID_REQUEST', `this is no request of HTTP/1.1: ${error.message}`);
}

/** Answers a connection that nobody reads a request from, and ends it. */
export function endWith(socket: Socket, code: ApiCode, detail: string): void {
  const { status, title } = catalogue[code];
  const body = JSON.stringify({ type: 'about:blank', title, status, code, detail });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `content-type: ${mediaType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function withFields(fields: FieldError[]): Partial<Problem> {
  const [first] = fields;
  return first ? { path: first.path, errors: fields.slice(0, 100) } : {};
}

function classify(error: Error): [ApiCode, string, FieldError[]] {
  if (error instanceof RequestError) return [error.code as ApiCode, error.message, error.fields];
  if (error instanceof CodedError)
    return Object.hasOwn(catalogue, error.code)
      ? [error.code as ApiCode, error.message, []]
      : ['NOT_READY', error.message, []];
  const { code, statusCode } = error as Partial<FastifyError>;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return ['BODY_TOO_LARGE', 'the body is larger than 1 MiB; send pools one by one', []];
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return [
      'UNSUPPORTED_MEDIA_TYPE',
      'send the header "content-type: application/json" (for PATCH application/merge-patch+json)',
      [],
    ];
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return ['INVALID_REQUEST', `the request cannot be read: ${error.message}`, []];
  return ['INTERNAL', 'the controller failed on this request; its log has the cause', []];
}
