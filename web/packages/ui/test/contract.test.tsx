import type { Job, MediaItem, ProviderModel, UploadResult } from '@project/realtime';
import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { expect, expectTypeOf, test, vi } from 'vitest';
import { stubService } from '../../realtime/test/doubles.js';
import type { CardJob, LibraryItem, ModelOption, UploadedMedia } from '../src/index.js';
import { ContractPage } from './contract.js';

class InstantRequest {
  upload = {};
  status = 200;
  responseText = '';
  onload?: () => void;
  onloadend?: () => void;
  open() {}
  setRequestHeader() {}
  send() {
    this.onload?.();
    this.onloadend?.();
  }
}

test("the contract's lines work as they stand, styles included", async () => {
  vi.stubGlobal('XMLHttpRequest', InstantRequest);
  const service = stubService({
    'POST /media/upload/init': {
      uploadURL: '/storage/x',
      objectPath: 'media/u/j/sea.png',
      jobId: 'j',
      headers: {},
    },
    'POST /media/upload/complete': {
      url: 'https://cdn/sea.png',
      path: 'media/u/j/sea.png',
      jobId: 'j',
    },
  });
  const refetchMedia = vi.fn();
  const { container } = render(
    <ContractPage
      token="a"
      items={[]}
      refetchMedia={refetchMedia}
      deleteMedia={async () => undefined}
    />,
  );
  const input = container.querySelector('input[type=file]') as HTMLInputElement;
  await userEvent.upload(input, new File(['x'], 'sea.png', { type: 'image/png' }));
  await waitFor(() => expect(refetchMedia).toHaveBeenCalledOnce());
  expect(service.calls.find(({ route }) => route.endsWith('/init'))?.headers.Authorization).toBe(
    'Bearer a',
  );
  expect(screen.getByText('Uploaded')).toBeTruthy();
  expect(document.querySelectorAll('style[data-href="project-ui"]')).toHaveLength(1);
});

test('what the client gives fits what the components take', () => {
  expectTypeOf<MediaItem>().toExtend<LibraryItem>();
  expectTypeOf<Job>().toExtend<CardJob>();
  expectTypeOf<ProviderModel>().toExtend<ModelOption>();
  expectTypeOf<UploadResult>().toEqualTypeOf<UploadedMedia>();
});
