// Words of the UI kit.
import { count } from './index';

export const ui = {
  close: 'Close',
  cancel: 'Cancel',
  save: 'Save',
  undo: 'Undo',
  retry: 'Try again',
  notices: 'Notices',
  dismiss: 'Dismiss this notice',
  loading: 'Loading',
  showList: 'Show the list',
  nothingFits: (typed: string): string => `Nothing matches “${typed}”.`,
  nothing: 'There is nothing to choose.',
  matches: (n: number): string => (n ? count(n, 'match', 'matches') : 'No match'),
  offlineTitle: 'You are offline.',
  offlineText: 'This is the last that was loaded. It becomes current when the connection is back.',
} as const;
