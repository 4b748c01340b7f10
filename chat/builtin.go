package chat

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed builtin/*.jinja
var builtin embed.FS

// Names lists the built-in templates. They hold the formats, not every feature: only llama3.1 shows tools.
func Names() []string {
	entries, err := builtin.ReadDir("builtin")
	if err != nil {
		panic(err) // it is part of the program
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".jinja"))
	}
	return names
}

// Named returns a built-in template.
func Named(name, bos, eos string) (*Template, error) {
	for _, n := range Names() {
		if n == name {
			text, err := builtin.ReadFile("builtin/" + name + ".jinja")
			if err != nil {
				return nil, err
			}
			return New(string(text), bos, eos)
		}
	}
	return nil, fmt.Errorf("chat: there is no built-in template %q; there are %s", name, strings.Join(Names(), ", "))
}
