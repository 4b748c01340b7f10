// Package jinja runs the part of Jinja that published chat templates use, with the settings of transformers: trim_blocks, lstrip_blocks, loop
// controls, generation blocks, an immutable sandbox, no escaping, and Python's values and printing.
//
// A template is foreign code, so a run has budgets of steps, bytes, depth and time, and sees nothing but the values it was given. Left out of
// Jinja are other templates (extends, block, include, import), autoescape, recursive loops, integers beyond 64 bits, and filters that chat
// templates have no use for; what is left out is an error that names it.
package jinja
