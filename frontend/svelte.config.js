// Every component uses runes; without this line one that happens to need none would be compiled the old way.
export default { compilerOptions: { runes: true } };
