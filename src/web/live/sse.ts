/** One server-sent event. */
export interface Message {
  id: string;
  event: string;
  data: string;
}

/**
 * Reads a stream of server-sent events as it comes in (WHATWG HTML 9.2.6). Not EventSource, which tells neither events of
 * types it was not told before nor that a connection has fallen silent.
 */
export function createParser(): (text: string) => Message[] {
  let rest = '';
  let id = '';
  let event = '';
  let data: string[] = [];
  const line = (text: string): Message | undefined => {
    if (text === '') {
      const message = data.length > 0 ? { id, event: event || 'message', data: data.join('\n') } : undefined;
      event = '';
      data = [];
      return message;
    }
    const colon = text.indexOf(':');
    const field = colon === -1 ? text : text.slice(0, colon);
    const value = colon === -1 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') data.push(value);
    else if (field === 'event') event = value;
    else if (field === 'id') id = value;
    return undefined;
  };
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?=.)/s);
    rest = lines.pop() ?? '';
    return lines.flatMap((each) => line(each) ?? []);
  };
}
