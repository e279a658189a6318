import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { expect, test, vi } from 'vitest';
import {
  type ModelOption,
  PromptComposer,
  type PromptComposerProps,
  toDraft,
} from '../src/index.js';

const models: ModelOption[] = [
  {
    provider: 'p',
    model: 'still',
    kind: 'image',
    nMax: 4,
    aspectRatios: ['1:1', '16:9'],
    seed: true,
  },
  { provider: 'p', model: 'plain', kind: 'image', label: 'Plain one', nMax: 1, seed: false },
  { provider: 'p', model: 'film', kind: 'video', secondsMax: 5, defaultSeconds: 3 },
];

function setUp(props: Partial<PromptComposerProps> = {}) {
  const onSubmit = vi.fn();
  render(<PromptComposer models={models} onSubmit={onSubmit} {...props} />);
  return { onSubmit, prompt: screen.getByRole('textbox', { name: 'Prompt' }) };
}

test('an empty prompt cannot be sent', async () => {
  const { onSubmit, prompt } = setUp();
  const button = screen.getByRole('button', { name: 'Generate' }) as HTMLButtonElement;
  expect(button.disabled).toBe(true);
  await userEvent.type(prompt, '   {Control>}{Enter}{/Control}');
  expect(onSubmit).not.toHaveBeenCalled();
});

test('Ctrl and Enter send just what was chosen', async () => {
  const { onSubmit, prompt } = setUp();
  await userEvent.type(prompt, ' a quiet sea {Control>}{Enter}{/Control}');
  expect(onSubmit).toHaveBeenCalledWith('image', {
    prompt: 'a quiet sea',
    provider: 'p',
    model: 'still',
  });
});

test('shape, count and seed go along', async () => {
  const { onSubmit, prompt } = setUp();
  await userEvent.type(prompt, 'sea');
  await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Shape' }), '16:9');
  await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Count' }), '3');
  await userEvent.type(screen.getByRole('spinbutton', { name: 'Seed' }), '7');
  await userEvent.click(screen.getByRole('button', { name: 'Generate' }));
  const request = {
    prompt: 'sea',
    provider: 'p',
    model: 'still',
    aspectRatio: '16:9',
    n: 3,
    seed: 7,
  };
  expect(onSubmit).toHaveBeenCalledWith('image', request);
});

test('a model is only offered, and only sent, what it takes', async () => {
  const { onSubmit, prompt } = setUp();
  await userEvent.type(prompt, 'sea');
  await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Count' }), '3');
  await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Model' }), 'Plain one');
  expect(screen.queryByRole('combobox', { name: 'Count' })).toBeNull();
  expect(screen.queryByRole('spinbutton')).toBeNull();
  await userEvent.click(screen.getByRole('button', { name: 'Generate' }));
  expect(onSubmit).toHaveBeenCalledWith('image', { prompt: 'sea', provider: 'p', model: 'plain' });
});

test('a video has a length up to what the model makes', async () => {
  const { onSubmit, prompt } = setUp();
  await userEvent.type(prompt, 'waves');
  await userEvent.click(screen.getByRole('radio', { name: 'Video' }));
  const length = screen.getByRole('combobox', { name: 'Length' });
  expect([...length.querySelectorAll('option')].map(({ text }) => text)).toEqual([
    '3 s',
    '1 s',
    '2 s',
    '4 s',
    '5 s',
  ]);
  await userEvent.selectOptions(length, '2 s');
  await userEvent.click(screen.getByRole('button', { name: 'Generate' }));
  expect(onSubmit).toHaveBeenCalledWith('video', {
    prompt: 'waves',
    provider: 'p',
    model: 'film',
    seconds: 2,
  });
});

test('a refusal is read out and tied to the prompt', () => {
  const { prompt } = setUp({ error: new Error('The prompt is too long.') });
  expect(screen.getByRole('alert').textContent).toBe('The prompt is too long.');
  expect(prompt.getAttribute('aria-describedby')).toBe(screen.getByRole('alert').id);
});

test('a request that was made can be taken up again as it was', async () => {
  const request = {
    prompt: 'sea',
    provider: 'p',
    model: 'still',
    aspectRatio: '16:9',
    n: 2,
    seed: 9,
  };
  const { onSubmit } = setUp({ initial: toDraft('image', request) });
  await userEvent.click(screen.getByRole('button', { name: 'Generate' }));
  expect(onSubmit).toHaveBeenCalledWith('image', request);
});

test('where only videos can be made, a video is asked for', async () => {
  const { onSubmit, prompt } = setUp({ models: models.filter(({ kind }) => kind === 'video') });
  await userEvent.type(prompt, 'waves{Control>}{Enter}{/Control}');
  expect(onSubmit).toHaveBeenCalledWith('video', { prompt: 'waves', provider: 'p', model: 'film' });
});
