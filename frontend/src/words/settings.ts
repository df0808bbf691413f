// Words of the Settings page.
import { number } from './index';

const GIB = 1024 ** 3;

export const settings = {
  title: 'Settings',
  sections: 'Sections',
  save: 'Save',
  discard: 'Discard changes',
  saved: 'Saved.',
  notSaved: 'Not saved.',
  notLoaded: 'This part could not be loaded.',
  nothingChanged: 'Nothing has changed.',

  profile: 'Profile',
  profileHint: 'How Kira calls you.',
  name: 'Name',
  email: 'E-mail',
  emailHint: 'You sign in with it.',

  password: 'Password',
  passwordHint: 'Your other sessions are signed out when it changes.',
  current: 'Current password',
  fresh: 'New password',
  freshHint: 'At least 8 characters; long is better than complicated.',
  show: 'Show passwords',
  changePassword: 'Change password',
  changed: 'The password was changed and your other sessions were signed out.',
  fillBoth: 'Fill in both fields.',

  model: 'Default model',
  modelHint: 'New conversations start with it. Each one can choose another.',
  modelAuto: 'The first that is found',
  modelLoaded: 'loaded',
  modelDemo: 'demo',
  modelGone: (name: string) => `${name} (not found now)`,
  modelSize: (bytes: number) => `${(bytes / GIB).toFixed(1)} GB`,
  modelContext: (tokens: number) => `${number(tokens)} tokens`,

  prompt: 'System prompt',
  promptHint: 'Kira reads it before every conversation: who you are, how you like answers.',
  promptPlaceholder: 'Such as: I work with Python. Answer briefly, with examples.',
  promptUnsaved: 'Not saved yet; the text is kept on this device.',

  theme: 'Theme',
  themeHint: 'It applies at once, here and on your other devices when they next start.',
  themes: { system: 'System', light: 'Light', dark: 'Dark' },

  keys: 'Keyboard',
  keysHint: 'Ctrl or ⌘ with K finds every command. Single letters can be turned off if they get in the way.',
  keysSingle: 'Shortcuts of single letters, such as g then w',
  keysShow: 'Show all shortcuts',

  invite: 'Invitations',
  inviteHint: 'A link lets one more person make an account here.',
  inviteMake: 'Make a link',
  inviteLink: 'Link',
  inviteUntil: 'It can be used once, until ',
  inviteCopy: 'Copy',
  inviteCopied: 'Copied.',

  sessions: 'Sessions',
  sessionsHint: 'Where you are signed in.',
  thisOne: 'This one',
  seen: 'Last seen ',
  revoke: 'Sign out',
  revokeOf: (device: string) => `Sign out ${device}`,
  revoked: (device: string) => `${device} was signed out.`,
  signOut: 'Sign out here',
  signOutLocal: 'To come back, open the address that Kira prints in the terminal.',

  about: 'About',
  version: 'Version',
  docs: 'API documentation',
  docsWhat: 'every route, to read and to try',
} as const;
