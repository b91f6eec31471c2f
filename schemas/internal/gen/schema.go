package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// schema is the part of JSON Schema that this folder uses.
type schema struct {
	path string // the file, or "" for what is written inside another

	Title       string     `json:"title"`
	Description string     `json:"description"`
	Reference   string     `json:"$ref"`
	Type        kind       `json:"type"`
	Format      string     `json:"format"`
	Const       *string    `json:"const"`
	Minimum     float64    `json:"minimum"`
	Maximum     float64    `json:"maximum"`
	Required    []string   `json:"required"`
	Items       *schema    `json:"items"`
	Properties  properties `json:"properties"`
}

// name is what a body is called: its file tells it.
func (s *schema) name() string { return strings.TrimSuffix(filepath.Base(s.path), ".json") }

// group is the folder that a schema lies in, such as "events".
func (s *schema) group() string { return filepath.Base(filepath.Dir(s.path)) }

// groups are the folders of bodies that a party may have.
var groups = []string{"commands", "events", "requests", "notices", "answers"}

// party is whose folder a file lies in.
func party(path string) string {
	folder := filepath.Dir(path)
	if slices.Contains(groups, filepath.Base(folder)) {
		folder = filepath.Dir(folder)
	}
	return filepath.Base(folder)
}

// kind is the type of a value. Null beside it is another way to leave the value out.
type kind string

func (k *kind) UnmarshalJSON(data []byte) error {
	var kinds []string
	if json.Unmarshal(data, &kinds) != nil {
		kinds = make([]string, 1)
		if err := json.Unmarshal(data, &kinds[0]); err != nil {
			return err
		}
	}
	kinds = slices.DeleteFunc(kinds, func(name string) bool { return name == "null" })
	if len(kinds) != 1 {
		return fmt.Errorf("no one type: %s", data)
	}
	*k = kind(kinds[0])
	return nil
}

// properties keep the order of the file, which is the order a reader should meet them in.
type properties []property

type property struct {
	name   string
	schema *schema
}

func (p *properties) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		value := new(schema)
		if err := decoder.Decode(value); err != nil {
			return err
		}
		*p = append(*p, property{name: name.(string), schema: value})
	}
	return nil
}

// folders lists the folders of bodies, one for each party that travels: each becomes a package.
func folders(root string) ([]string, error) {
	var folders []string
	for _, group := range groups {
		found, err := filepath.Glob(filepath.Join(root, "*", group))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			folders = append(folders, filepath.Base(filepath.Dir(path)))
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders), nil
}

// load reads the schemas of a folder and of its folders, in the order of their paths.
func load(folder string) ([]*schema, error) {
	shared, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	bodies, err := filepath.Glob(filepath.Join(folder, "*", "*.json"))
	if err != nil {
		return nil, err
	}
	var schemas []*schema
	for _, path := range slices.Concat(shared, bodies) {
		if strings.HasSuffix(path, ".example.json") {
			continue
		}
		loaded, err := read(path)
		if err != nil {
			return nil, err
		}
		schemas = append(schemas, loaded)
	}
	return schemas, nil
}

func read(path string) (*schema, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	loaded := &schema{path: path}
	if err := json.Unmarshal(text, loaded); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return loaded, nil
}

// resolve follows a $ref that is written in the file at path.
func (s *schema) resolve(path string) (*schema, string, error) {
	if s.Reference == "" {
		return s, path, nil
	}
	path = filepath.Join(filepath.Dir(path), s.Reference)
	target, err := read(path)
	return target, path, err
}
