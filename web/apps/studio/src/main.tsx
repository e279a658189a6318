import '@project/ui/styles.css';
import './studio.css';
import { UiProvider } from '@project/ui';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App.js';

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <UiProvider injectStyles={false}>
        <App />
      </UiProvider>
    </StrictMode>,
  );
}
