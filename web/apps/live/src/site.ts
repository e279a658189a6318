const SCHEME = 'data-md-color-scheme';

/** Be as light or dark as the page around, and as high as what is shown. */
export function followSite() {
  const frame = window.frameElement as HTMLElement | null;
  if (!frame) return;
  const page = frame.ownerDocument.body;
  const dress = () => {
    const dark = page.getAttribute(SCHEME) === 'slate';
    document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
  };
  dress();
  new MutationObserver(dress).observe(page, { attributeFilter: [SCHEME] });
  new ResizeObserver(() => {
    frame.style.height = `${document.body.scrollHeight}px`;
  }).observe(document.body);
}
