package main

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

//go:embed files
var files embed.FS

// service is what the templates know.
type service struct {
	Name   string // poll
	Type   string // Poll
	Stream string // POLL
}

func called(name string) service {
	return service{Name: name, Type: strings.ToUpper(name[:1]) + name[1:], Stream: strings.ToUpper(name)}
}

// layOut writes the files of a service below root, and lists them, the changed ones
// too. It writes nothing when the name is refused.
func layOut(root, name string) (written []string, err error) {
	if err := checkName(root, name); err != nil {
		return nil, err
	}
	s := called(name)
	changed, err := mention(root, s)
	if err != nil {
		return nil, err
	}
	fresh, err := s.files()
	if err != nil {
		return nil, err
	}
	for _, all := range []map[string][]byte{fresh, changed} {
		for path, text := range all {
			where := filepath.Join(root, filepath.FromSlash(path))
			if err := os.MkdirAll(filepath.Dir(where), 0o755); err != nil {
				return written, err
			}
			if err := os.WriteFile(where, text, 0o644); err != nil {
				return written, err
			}
			written = append(written, path)
		}
	}
	slices.Sort(written)
	return written, nil
}

// files are the new ones, by their paths.
func (s service) files() (map[string][]byte, error) {
	made := make(map[string][]byte)
	err := fs.WalkDir(files, "files", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := template.ParseFS(files, path)
		if err != nil {
			return err
		}
		var filled bytes.Buffer
		if err := text.Execute(&filled, s); err != nil {
			return err
		}
		where, below, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(path, ".tmpl"), "files/"), "/")
		made[fmt.Sprintf("%s/%s/%s", where, s.Name, below)] = filled.Bytes()
		return nil
	})
	return made, err
}
