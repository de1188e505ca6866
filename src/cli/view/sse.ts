/** One event of a stream of server-sent events. */
export interface ServerEvent {
  id: string | undefined;
  event: string;
  data: string;
}

/** Reads a stream of server-sent events piece by piece (WHATWG HTML 9.2.6); comments and empty events are passed over. */
export function eventReader(): (text: string) => ServerEvent[] {
  let rest = '';
  let fields: ServerEvent = { id: undefined, event: 'message', data: '' };
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === '') {
        if (fields.data !== '') events.push({ ...fields, data: fields.data.slice(0, -1) });
        fields = { id: fields.id, event: 'message', data: '' };
        continue;
      }
      const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (name === 'data') fields.data += `${value}\n`;
      else if (name === 'event') fields.event = value;
      else if (name === 'id') fields.id = value;
    }
    return events;
  };
}
