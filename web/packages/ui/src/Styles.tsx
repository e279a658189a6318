import { createContext, type ReactNode, useContext } from 'react';
import css from './styles.css?inline';

export interface UiSettings {
  /** False when the page loads `@project/ui/styles.css` itself, as a strict content policy asks. */
  injectStyles?: boolean;
  nonce?: string;
}

const Settings = createContext<UiSettings>({});

/** Change how the components below bring their styles; without it they need nothing else imported. */
export function UiProvider({ children, ...settings }: UiSettings & { children: ReactNode }) {
  return <Settings value={settings}>{children}</Settings>;
}

/** The styles of every component, in the document once. */
export function Styles() {
  const { injectStyles = true, nonce } = useContext(Settings);
  if (!injectStyles) return null;
  return (
    <style href="project-ui" precedence="default" nonce={nonce}>
      {css}
    </style>
  );
}
