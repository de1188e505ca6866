import { render } from 'preact';
import { access } from './access/access.ts';
import { App } from './app.tsx';

// A token in the address is taken out of it before anything else is done; also of one that is opened in this tab later.
access.begin();
addEventListener('hashchange', () => access.begin());

const root = document.getElementById('app');
if (root) render(<App />, root);
