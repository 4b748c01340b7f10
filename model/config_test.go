package model

import (
	"strings"
	"testing"
)

// A value of the wrong type is told by its key, as the file has it.
func TestWrongTypes(t *testing.T) {
	type Inner struct {
		Width int     `json:"hidden_size"`
		Eps   float64 `json:"eps"`
		Deep  struct {
			Name string `json:"rope_type"`
		} `json:"rope_scaling"`
	}
	for text, want := range map[string]string{
		`{"hidden_size": "64"}`:              "config.json: hidden_size is a JSON string, want a whole number",
		`{"hidden_size": 1.5}`:               "config.json: hidden_size is a JSON number 1.5, want a whole number",
		`{"eps": true}`:                      "config.json: eps is a JSON bool, want a number",
		`{"rope_scaling": {"rope_type": 3}}`: "config.json: rope_scaling.rope_type is a JSON number, want a string",
		`{"rope_scaling": 3}`:                "config.json: rope_scaling is a JSON number, want an object",
	} {
		c := struct{ *Inner }{new(Inner)}
		if err := ParseConfig([]byte(text), &c, Keys{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
