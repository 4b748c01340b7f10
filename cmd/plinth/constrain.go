package main

import (
	"os"

	"github.com/plinth-ml/plinth/generate/constrain"
	"github.com/plinth-ml/plinth/tokenizer"
)

// constraintFlags keep what is written within a language.
type constraintFlags struct {
	Grammar    string `help:"Write only what this GBNF grammar allows." placeholder:"FILE" xor:"constraint" group:"Constraint:"`
	JSONSchema string `name:"json-schema" help:"Write only JSON that satisfies this schema." placeholder:"FILE" xor:"constraint" group:"Constraint:"`
	Regex      string `help:"Write only what this regular expression matches as a whole." placeholder:"RE" xor:"constraint" group:"Constraint:"`
}

// flag is the one that constrains.
func (f *constraintFlags) flag() string {
	switch {
	case f.Grammar != "":
		return "--grammar"
	case f.JSONSchema != "":
		return "--json-schema"
	}
	return "--regex"
}

// constraint compiles what the flags ask for; nil where they ask for nothing.
func (f *constraintFlags) constraint(tok *tokenizer.Tokenizer) (*constrain.Constraint, error) {
	flag, source, parse := "--regex", f.Regex, constrain.ParseRegexp
	for _, file := range []struct {
		flag, name string
		parse      func(string) (*constrain.Grammar, error)
	}{{"--grammar", f.Grammar, constrain.ParseGBNF}, {"--json-schema", f.JSONSchema, constrain.ParseSchema}} {
		if file.name == "" {
			continue
		}
		b, err := os.ReadFile(file.name)
		if err != nil {
			return nil, err
		}
		flag, source, parse = file.flag+" "+file.name, string(b), file.parse
	}
	if source == "" && flag == "--regex" {
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
