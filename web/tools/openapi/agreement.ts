// Compiles only while the hand-written contract says what the service's own document says.
// Absent and null count as the same; every schema and field of either side must be on the other.
import type * as Contract from '../../packages/realtime/src/contract.js';
import type { LibraryQuery } from '../../packages/realtime/src/library.js';
import type { components, paths } from './schema.js';

/** By the document's name: what the client calls it. */
interface Named {
  AttemptView: Contract.JobAttempt;
  FailedDeletion: Contract.MediaDeletion['failed'][number];
  FieldProblem: Contract.FieldProblem;
  FrameInput: Contract.InputImage<'reference' | 'first_frame' | 'last_frame'>;
  GenerateImage: Contract.ImageRequest;
  GenerateVideo: Contract.VideoRequest;
  ImageInput: Contract.InputImage<'reference' | 'init' | 'mask'>;
  ImportMedia: Contract.ImportRequest;
  JobError: Contract.Failure;
  JobList: Contract.JobPage;
  JobRef: Contract.JobRef;
  JobView: Contract.Job;
  LimitView: Contract.UsageLimit;
  MediaChange: Contract.MediaChange;
  MediaDeleted: Contract.MediaDeletion;
  MediaDeletion: Contract.MediaFilter & { paths?: string[] };
  MediaItem: Contract.MediaItem;
  MediaList: Contract.MediaPage;
  MediaUsage: Contract.MediaUsage;
  ModelPrice: NonNullable<Contract.ProviderModel['price']>;
  ModelView: Contract.ProviderModel;
  ProblemBody: Contract.Problem;
  ProcessMedia: Contract.ProcessRequest;
  ProviderList: { providers: Contract.ProviderModel[] };
  Resumable: NonNullable<Contract.UploadTicket['resumable']>;
  ThumbnailView: Contract.Thumbnail;
  UploadCount: Contract.UploadCount;
  UploadDone: Contract.UploadResult & Contract.JobRef;
  UploadInit: Contract.UploadAnnouncement;
  UploadPath: Pick<Contract.UploadCount, 'objectPath'>;
  UploadPermission: Contract.UploadTicket;
}

/** What the two sides say differently on purpose, and why. */
type OnPurpose =
  // Of every kind of job another; the document says any object.
  | 'JobView.result'
  | 'JobList.jobs'
  // Only in the result of a generation, never in a listing.
  | 'MediaItem.originalUrl'
  | 'MediaList.items';

/** No part of the client's contract: operations are compared inside `ProcessMedia`. */
type NotCompared = 'Health' | `${string}Body`;

type Schemas = components['schemas'];
type Found =
  | {
      [Name in keyof Schemas]: Name extends keyof Named
        ? Differences<Name, Schemas[Name], Named[Name]>
        : Name extends NotCompared
          ? never
          : `${Name} is not in the contract`;
    }[keyof Schemas]
  | Exclude<`${keyof Named} is not in the document`, `${keyof Schemas} is not in the document`>
  | Differences<
      'GET /media',
      NonNullable<paths['/media']['get']['parameters']['query']>,
      LibraryQuery & { cursor?: string }
    >;

export type Agreement = [None<Exclude<Found, OnPurpose>>, None<Exclude<OnPurpose, Found>>];

type None<Difference extends never> = Difference;

type Differences<Name extends string, One, Other> = {
  [Key in keyof One | keyof Other]: Key extends keyof One & keyof Other
    ? Same<Plain<One[Key]>, Plain<Other[Key]>> extends true
      ? never
      : `${Name}.${Key & string}`
    : `${Name}.${Key & string}`;
}[keyof One | keyof Other];

/** Written in one way: what may be absent is there and may be null. */
type Plain<T> = T extends readonly (infer Element)[]
  ? Plain<Element>[]
  : T extends object
    ? {
        [Key in keyof T]-?:
          | Plain<Exclude<T[Key], undefined>>
          | (undefined extends T[Key] ? null : never);
      }
    : undefined extends T
      ? null
      : T;

type Same<One, Other> =
  (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;
