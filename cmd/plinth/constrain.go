package main

import (
	"fmt"

	"github.com/plinth-ml/plinth/generate/constrain"
	"github.com/plinth-ml/plinth/internal/file"
	"github.com/plinth-ml/plinth/tokenizer"
)

// constraintFlags keep what is written within a language.
type constraintFlags struct {
	Grammar    *string `help:"Write only what this GBNF grammar allows." placeholder:"FILE" xor:"constraint" group:"Constraint:"`
	JSONSchema *string `name:"json-schema" help:"Write only JSON that satisfies this schema." placeholder:"FILE" xor:"constraint" group:"Constraint:"`
	Regex      *string `help:"Write only what this regular expression matches as a whole." placeholder:"RE" xor:"constraint" group:"Constraint:"`
}

// flag is the one that constrains.
func (f *constraintFlags) flag() string {
	switch {
	case f.Grammar != nil:
		return "--grammar"
	case f.JSONSchema != nil:
		return "--json-schema"
	}
	return "--regex"
}

// constraint compiles what the flags ask for; nil where they ask for nothing.
func (f *constraintFlags) constraint(tok *tokenizer.Tokenizer) (*constrain.Constraint, error) {
	var flag, source string
	parse := constrain.ParseRegexp
	if f.Regex != nil {
		if flag, source = "--regex", *f.Regex; source == "" {
			return nil, usagef("--regex is empty, and allows no text but the empty one")
		}
	}
	for _, f := range []struct {
		flag  string
		name  *string
		parse func(string) (*constrain.Grammar, error)
	}{{"--grammar", f.Grammar, constrain.ParseGBNF}, {"--json-schema", f.JSONSchema, constrain.ParseSchema}} {
		if f.name == nil {
			continue
		}
		b, err := file.Read(*f.name, maxText)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.flag, err)
		}
		flag, source, parse = f.flag+" "+*f.name, string(b), f.parse
	}
	if flag == "" {
		return nil, nil
	}
	g, err := parse(source)
	if err != nil {
		return nil, usagef("%s: %v", flag, err)
	}
	v, err := constrain.NewVocabulary(tok.Texts())
	if err != nil {
		return nil, err
	}
	c, err := g.Compile(v)
	if err != nil {
		return nil, usagef("%s: %v", flag, err)
	}
	return c, nil
}
