package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// maxTools bounds the text of a list of tools, in bytes.
const maxTools = 1 << 20

// ParseTools reads a JSON list of tools, each {"type": "function", "function": {"name": ..., "description": ..., "parameters": {...}}} with a name of
// its own. An error names the tool by its number.
func ParseTools(data []byte) ([]Tool, error) {
	if len(data) > maxTools {
		return nil, fmt.Errorf("chat: more than %d bytes of tools", maxTools)
	}
	var tools []Tool
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("chat: byte %d: %w", syntax.Offset, err)
		}
		return nil, errors.New("chat: no JSON list of tools")
	}
	if len(list) == 0 {
		return nil, errors.New("chat: the list of tools is empty")
	}
	seen := map[string]int{}
	for i, data := range list {
		name, err := checkTool(data)
		if err == nil && seen[name] > 0 {
			err = fmt.Errorf("function.name %s is that of tool %d", name, seen[name])
		}
		if err != nil {
			return nil, fmt.Errorf("chat: tool %d: %w", i+1, err)
		}
		seen[name] = i + 1
		tools = append(tools, data)
	}
	return tools, nil
}

// checkTool returns the name of the tool's function.
func checkTool(data json.RawMessage) (string, error) {
	var tool struct{ Type, Function json.RawMessage }
	if data[0] != '{' || json.Unmarshal(data, &tool) != nil {
		return "", errors.New("no JSON object")
	}
	if string(tool.Type) != `"function"` {
		return "", errors.New(`type is not "function"`)
	}
	var function struct{ Name, Parameters json.RawMessage }
	if len(tool.Function) == 0 || tool.Function[0] != '{' || json.Unmarshal(tool.Function, &function) != nil {
		return "", errors.New("function is no JSON object")
	}
	name, ok := identifier(function.Name)
	if !ok {
		return "", errors.New("function.name is no name of a function")
	}
	if p := function.Parameters; len(p) > 0 && p[0] != '{' {
		return "", errors.New("function.parameters is no JSON object")
	}
	return name, nil
}

// ShowsTools reports whether the template shows the model the tools that it is given, found by rendering a question with one.
func (t *Template) ShowsTools(ctx context.Context) (bool, error) {
	const name = "plinth_tool"
	tool := Tool(`{"type":"function","function":{"name":"` + name + `","description":"x","parameters":{"type":"object","properties":{}}}}`)
	text, err := t.Render(ctx, []Message{{Role: "user", Content: Text("x")}}, []Tool{tool}, Options{AddGenerationPrompt: true})
	return strings.Contains(text, name), err
}
