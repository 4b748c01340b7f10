// Package constrain keeps what a model writes within a language: a GBNF grammar, a regular expression or a JSON schema. A Grammar is compiled
// for a Vocabulary, the bytes of each token, to a Constraint; a Matcher follows one sequence, tells at each place the mask of the tokens that
// may come next, and advances by the one that came.
//
// All three notations become one context-free grammar over bytes, run as a non-deterministic pushdown automaton. What the automaton is in
// after some text, a set of stacks, is a state; states, their transitions and their masks are made when they are first met and kept, so that a
// token costs a look-up for each of its bytes and a copy of a mask. A mask is made by walking a trie of the vocabulary. Tokens that end
// without leaving the rule that the automaton is in are found once for a rule and shared by all stacks below it (context-independent tokens:
// Dong et al. 2024, XGrammar, section 3.1); only the others are walked again for each new stack.
//
// Nothing leads into a dead end: every state can be completed, and tokens of one character, or of one byte, suffice for it. Sizes are
// bounded: characters and rules of a grammar, nodes of the automaton, stacks of a state, bytes of the cache. A grammar beyond a bound is an
// error, of the compilation or of the step that met it.
package constrain
