import { createContext, type ReactNode, useContext } from 'react';
import { type Messages, MessagesContext, useMessages } from './messages.js';
import css from './styles.css?inline';

export interface UiSettings {
  /** False when the page loads `@project/ui/styles.css` itself, as a strict content policy asks. */
  injectStyles?: boolean;
  nonce?: string;
  /** Words instead of the English ones. */
  messages?: Partial<Messages>;
}

const Settings = createContext<UiSettings>({});

/** Change how the components below bring their styles and words; without it they need nothing else imported. */
export function UiProvider({
  children,
  messages,
  ...settings
}: UiSettings & { children: ReactNode }) {
  return (
    <Settings value={settings}>
      <MessagesContext value={useMessages(messages)}>{children}</MessagesContext>
    </Settings>
  );
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
