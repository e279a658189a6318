import { expect, type Locator, type Page } from '@playwright/test';

/** The studio as a person uses it. */
export class Studio {
  constructor(readonly page: Page) {}

  async open(address = '/') {
    await this.page.goto(address);
    await expect(this.page.getByText('Live', { exact: true })).toBeVisible();
    await expect(this.page.getByRole('button', { name: 'Generate' })).toBeVisible();
  }

  async generate(prompt: string, choices: Record<string, string> = {}) {
    await this.page.getByRole('textbox', { name: 'Prompt' }).fill(prompt);
    for (const [label, value] of Object.entries(choices)) {
      await this.page.getByRole('combobox', { name: label }).selectOption(value);
    }
    await this.page.getByRole('button', { name: 'Generate' }).click();
  }

  card(prompt: string): Locator {
    return this.page.getByRole('article', { name: prompt });
  }

  tile(name: string): Locator {
    return this.page.getByRole('button', { name: `Open ${name}` });
  }

  /** The row of a file in the dock, or of one that was refused. */
  row(name: string): Locator {
    return this.page.getByRole('listitem').filter({ hasText: name });
  }

  async choose(...files: { name: string; mimeType: string; buffer: Buffer }[]) {
    await this.page.locator('input[type=file][multiple]').setInputFiles(files);
  }

  get lightbox(): Locator {
    return this.page.getByRole('dialog');
  }

  async expectPicture(image: Locator) {
    await expect(image).toBeVisible();
    await expect
      .poll(() => image.evaluate((node: HTMLImageElement) => node.naturalWidth))
      .toBeGreaterThan(0);
  }

  /** Write down every value the progress bars show and every partial picture that was really decoded. */
  async watch() {
    await this.page.evaluate(() => {
      const seen = { progress: [] as number[], previews: [] as string[] };
      Object.assign(window, { seen });
      const note = () => {
        for (const bar of document.querySelectorAll<HTMLProgressElement>(
          'article progress[value]',
        )) {
          if (seen.progress.at(-1) !== bar.value) seen.progress.push(bar.value);
        }
      };
      new MutationObserver(note).observe(document.body, {
        subtree: true,
        childList: true,
        attributes: true,
      });
      document.addEventListener(
        'load',
        ({ target }) => {
          if (!(target instanceof HTMLImageElement) || target.dataset.preview === undefined) return;
          if (target.naturalWidth > 0) seen.previews.push(target.src);
        },
        true,
      );
    });
  }

  seen(): Promise<{ progress: number[]; previews: string[] }> {
    return this.page.evaluate(
      () => (window as never as { seen: { progress: number[]; previews: string[] } }).seen,
    );
  }
}
