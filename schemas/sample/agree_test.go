package sample_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/sample"
	"github.com/latido/latido/subjects"
)

func as[T any](body []byte) (any, error) {
	var value T
	err := json.Unmarshal(body, &value)
	return value, err
}

// find returns the schema in a file.
func find(file string) (*schemas.Schema, error) {
	folder, rest, _ := strings.Cut(file, "/")
	group, name := path.Split(rest)
	switch group {
	case "requests/":
		return schemas.Request(name)
	case "notices/":
		return schemas.Notice(name)
	}
	for kind, of := range subjects.Catalog {
		if of.Owner != folder {
			continue
		}
		if schema, err := schemas.Event(kind, name); group == "events/" && err == nil {
			return schema, nil
		}
		if schema, err := schemas.Command(kind, name); group == "commands/" && err == nil {
			return schema, nil
		}
	}
	return nil, fmt.Errorf("%s belongs to no kind", file)
}

// TestDecodersReadWhatSchemasTake: what a schema takes, its type reads, and writes again for the schema to take; or the schema
// refuses it in a way that names the field.
func TestDecodersReadWhatSchemasTake(t *testing.T) {
	t.Parallel()
	for file, decode := range decoders {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			schema, err := find(file)
			if err != nil {
				t.Fatal(err)
			}
			random, taken := rand.New(rand.NewPCG(1, uint64(len(file)))), 0
			for range 200 {
				body := sample.Body(t, random, file)
				canonical, err := schemas.Canonical("data", body, 0)
				if err == nil {
					err = schema.Validate(canonical)
				}
				if err != nil {
					if refusal := schemas.RefusalOf(err); refusal.Code == schemas.Internal || refusal.Field == "" {
						t.Fatalf("%s: %v", body, err)
					}
					continue
				}
				value, err := decode(schemas.Digits(canonical))
				if err != nil {
					t.Fatalf("%s: %v", body, err)
				}
				taken++
				again, err := json.Marshal(value)
				if err != nil {
					t.Fatalf("%s: %v", body, err)
				}
				if err := schema.Validate(again); err != nil {
					t.Fatalf("%s became %s: %v", body, again, err)
				}
			}
			if taken == 0 {
				t.Error("no body was taken")
			}
		})
	}
}

func TestJSONIsJSON(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		if text := sample.JSON(random, 4); !json.Valid(text) {
			t.Fatalf("%q", text)
		}
	}
}
