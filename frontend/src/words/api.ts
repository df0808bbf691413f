// What is said when the server cannot be reached or answers something strange.
export const api = {
  offline: 'Kira cannot be reached. Check that it is running and that you are connected.',
  unreadable: (status: number) => `Kira answered something unexpected (HTTP ${status}). Try again.`,
};
