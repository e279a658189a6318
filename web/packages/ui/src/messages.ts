import { createContext, useContext } from 'react';

/** Every word the library, the uploader and the dock say; give some to change them. */
export interface Messages {
  library: string;
  empty: string;
  loading: string;
  loadMore: string;
  tryAgain: string;
  offline: string;
  unauthorized: string;
  open: (name: string) => string;
  select: (name: string) => string;
  delete: string;
  deleteOne: (name: string) => string;
  deleteAgain: string;
  selected: (count: number) => string;
  selectAll: (count: number) => string;
  clearSelection: string;
  copyAddresses: string;
  copied: string;
  deleted: (count: number) => string;
  undo: string;
  notDeleted: (count: number) => string;
  fresh: (count: number) => string;
  dismiss: string;
  upload: string;
  chooseFiles: string;
  chooseFolder: string;
  takePhoto: string;
  dropHere: string;
  dropAnywhere: string;
  dropNow: string;
  dropCount: (fit: number, unfit: number) => string;
  uploads: string;
  uploadSummary: (open: number, done: number, failed: number) => string;
  secondsLeft: (seconds: number) => string;
  waiting: string;
  waitingForNetwork: string;
  checking: string;
  uploaded: string;
  cancelOne: (name: string) => string;
  removeOne: (name: string) => string;
  retryOne: (name: string) => string;
  uploading: (name: string) => string;
  tooLarge: (limit: string) => string;
  notAccepted: (type: string) => string;
  fold: string;
  unfold: string;
}

export const ENGLISH: Messages = {
  library: 'Library',
  empty: 'Nothing here yet.',
  loading: 'Loading',
  loadMore: 'Load more',
  tryAgain: 'Try again',
  offline: 'You are offline. What you see may be old.',
  unauthorized: 'Sign in to see what is yours.',
  open: (name) => `Open ${name}`,
  select: (name) => `Select ${name}`,
  delete: 'Delete',
  deleteOne: (name) => `Delete ${name}`,
  deleteAgain: 'Press again to delete',
  selected: (count) => `${count} selected`,
  selectAll: (count) => `Select all ${count}`,
  clearSelection: 'Clear selection',
  copyAddresses: 'Copy addresses',
  copied: 'Copied',
  deleted: (count) => `Deleted ${count}`,
  undo: 'Undo',
  notDeleted: (count) => `${count} could not be deleted.`,
  fresh: (count) => `${count} new`,
  dismiss: 'Dismiss',
  upload: 'Upload',
  chooseFiles: 'Choose files',
  chooseFolder: 'Choose a folder',
  takePhoto: 'Take a picture',
  dropHere: 'or drop or paste them here',
  dropAnywhere: 'or drop or paste them anywhere',
  dropNow: 'Drop to upload',
  dropCount: (fit, unfit) =>
    unfit ? `${fit} of ${fit + unfit} can be taken` : `${fit} ${fit === 1 ? 'file' : 'files'}`,
  uploads: 'Uploads',
  uploadSummary: (open, done, failed) =>
    [open && `${open} uploading`, done && `${done} uploaded`, failed && `${failed} failed`]
      .filter(Boolean)
      .join(', '),
  secondsLeft: (seconds) =>
    seconds < 60 ? `${Math.ceil(seconds)} s left` : `${Math.ceil(seconds / 60)} min left`,
  waiting: 'Waiting',
  waitingForNetwork: 'Waiting for the network',
  checking: 'Checking',
  uploaded: 'Uploaded',
  cancelOne: (name) => `Cancel ${name}`,
  removeOne: (name) => `Remove ${name}`,
  retryOne: (name) => `Retry ${name}`,
  uploading: (name) => `Uploading ${name}`,
  tooLarge: (limit) => `Larger than ${limit}.`,
  notAccepted: (type) => `${type || 'This type'} is not accepted here.`,
  fold: 'Fold the uploads',
  unfold: 'Show the uploads',
};

export const MessagesContext = createContext<Messages>(ENGLISH);

/** The words around us, with some of a component's own. */
export function useMessages(own?: Partial<Messages>): Messages {
  const around = useContext(MessagesContext);
  return own ? { ...around, ...own } : around;
}
