package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/plinth-ml/plinth/chat"
)

// schema is a JSON Schema.
type schema map[string]any

// either is a schema of several.
func either(list ...schema) schema { return schema{"anyOf": list} }

func listOf(s schema) schema { return schema{"type": "array", "items": s} }

// shapes are the schemas of types that read JSON by themselves.
func (d *openAPIDocument) shapes() map[reflect.Type]func() schema {
	text, ids := schema{"type": "string"}, listOf(schema{"type": "integer"})
	prompt := func() schema { return either(text, listOf(text), ids, listOf(ids)) }
	said := schema{"type": "object", "properties": schema{"type": text, "text": text}, "required": []string{"type"}}
	return map[reflect.Type]func() schema{
		reflect.TypeFor[json.RawMessage](): func() schema { return schema{} },
		reflect.TypeFor[prompts]():         prompt,
		reflect.TypeFor[inputs](): func() schema {
			return either(prompt(), d.of(reflect.TypeFor[part]()), listOf(either(text, d.of(reflect.TypeFor[part]()))))
		},
		reflect.TypeFor[texts]():          func() schema { return either(text, listOf(text)) },
		reflect.TypeFor[messageContent](): func() schema { return either(text, listOf(d.of(reflect.TypeFor[part]()))) },
		reflect.TypeFor[picture]():        func() schema { return text },
		reflect.TypeFor[linked](): func() schema {
			return either(text, schema{"type": "object", "properties": schema{"url": text, "detail": text}, "required": []string{"url"}})
		},
		reflect.TypeFor[classifyInput](): func() schema {
			p := d.of(reflect.TypeFor[part]())
			return either(text, p, listOf(either(text, listOf(text), p)))
		},
		reflect.TypeFor[document]():        func() schema { return either(text, schema{"type": "object", "properties": schema{"text": text}}) },
		reflect.TypeFor[chat.Content]():    func() schema { return either(text, listOf(said), schema{"type": "null"}) },
		reflect.TypeFor[responseInput]():   func() schema { return either(text, listOf(d.of(reflect.TypeFor[responseItem]()))) },
		reflect.TypeFor[responseContent](): func() schema { return either(text, listOf(d.of(reflect.TypeFor[responsePart]()))) },
		reflect.TypeFor[blocks]():          func() schema { return either(text, listOf(d.of(reflect.TypeFor[block]()))) },
	}
}

// openAPIDocument gathers the schemas of named types.
type openAPIDocument struct {
	schemas map[string]schema
	known   map[reflect.Type]func() schema
	request bool // fields that are not named are refused
}

// of is the schema of a type: for a struct with a name a reference.
func (d *openAPIDocument) of(t reflect.Type) schema {
	if f, ok := d.known[t]; ok {
		return f()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) && t.Kind() != reflect.Pointer {
		panic(fmt.Sprintf("serve: %v reads JSON by itself: it wants an entry in shapes", t))
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.of(t.Elem())
	case reflect.Slice:
		return listOf(d.of(t.Elem()))
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": d.of(t.Elem())}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}
	case reflect.Interface:
		return schema{}
	case reflect.Struct:
		if t.Name() == "" {
			return d.object(t)
		}
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if _, ok := d.schemas[name]; !ok {
			d.schemas[name] = nil // it may contain itself
			d.schemas[name] = d.object(t)
		}
		return schema{"$ref": "#/components/schemas/" + name}
	}
	return schema{"type": "integer"}
}

// object is the schema of a struct with its fields.
func (d *openAPIDocument) object(t reflect.Type) schema {
	properties := schema{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" || name == "-" || !f.IsExported() {
			continue
		}
		s := d.of(f.Type)
		if about := f.Tag.Get("doc"); about != "" {
			s = schema{"allOf": []schema{s}, "description": about}
		}
		properties[name] = s
	}
	s := schema{"type": "object", "properties": properties}
	if d.request {
		s["additionalProperties"] = false
	}
	return s
}

// newOpenAPI describes the routes as they are.
func newOpenAPI() map[string]any {
	d := &openAPIDocument{schemas: map[string]schema{}}
	d.known = d.shapes()
	paths := map[string]map[string]any{}
	placeholder := regexp.MustCompile(`\{(\w+)(\.\.\.)?\}`)
	body := func(request bool, v any) map[string]any {
		d.request = request
		return map[string]any{"application/json": map[string]any{"schema": d.of(reflect.TypeOf(v))}}
	}
	for _, r := range routes() {
		method, path, _ := strings.Cut(strings.TrimSuffix(r.pattern, "{$}"), " ")
		answer := map[string]any{"description": "The answer."}
		content := map[string]any{}
		if r.out != nil {
			content = body(false, r.out)
		}
		if r.streams {
			content["text/event-stream"] = map[string]any{"schema": schema{"type": "string"}}
		}
		if len(content) > 0 {
			answer["content"] = content
		}
		o := map[string]any{"summary": r.about, "operationId": strings.Trim(regexp.MustCompile(`\W+`).ReplaceAllString(r.pattern, "_"), "_"),
			"responses": map[string]any{"200": answer, "default": map[string]any{"description": "An error.", "content": body(false, map[string]apiError{})}}}
		if r.in != nil {
			o["requestBody"] = map[string]any{"required": true, "content": body(true, r.in)}
		}
		if r.open {
			o["security"] = []any{}
		}
		var parameters []any
		for _, m := range placeholder.FindAllStringSubmatch(path, -1) {
			parameters = append(parameters, map[string]any{"name": m[1], "in": "path", "required": true, "schema": schema{"type": "string"}})
		}
		if parameters != nil {
			o["parameters"] = parameters
		}
		path = placeholder.ReplaceAllString(strings.TrimSuffix(path, "{$}"), "{$1}")
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(method)] = o
	}
	return map[string]any{
		"openapi": "3.1.0", "info": map[string]string{"title": "Plinth", "version": "1"}, "paths": paths,
		"security": []any{map[string]any{"bearer": []string{}}, map[string]any{"key": []string{}}, map[string]any{}},
		"components": map[string]any{"schemas": d.schemas, "securitySchemes": map[string]any{
			"bearer": map[string]string{"type": "http", "scheme": "bearer"}, "key": map[string]string{"type": "apiKey", "in": "header", "name": "X-Api-Key"}}},
	}
}

// openAPI answers GET /openapi.json.
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, newOpenAPI())
	return nil
}
