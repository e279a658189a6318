import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';

// Your own sign-in gives the token; here it comes from `media-pipeline token`.
const token: string = import.meta.env.VITE_MEDIA_TOKEN ?? '';

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App token={token} />
    </StrictMode>,
  );
}
