declare module 'example:all' {
  type Props = Record<string, unknown>;
  /** The examples of the docs by page and number; each module exports one component. */
  export const examples: Record<string, () => Promise<Record<string, import('react').FC<Props>>>>;
}
