package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"
	"text/template"
)

// section is what stands between "# begin <name>" and "# end <name>".
var section = regexp.MustCompile(`(?ms)^( *# begin (\w+)[^\n]*\n)(.*?)^( *# end (\w+)\n)`)

//go:embed sections.tmpl
var written string

var sections = template.Must(template.New("").Parse(written))

// fill returns the text of a file with its sections written anew.
func fill(text []byte) ([]byte, error) {
	all := accounts()
	var filled bytes.Buffer
	from := 0
	for _, at := range section.FindAllSubmatchIndex(text, -1) {
		name, end := string(text[at[4]:at[5]]), string(text[at[10]:at[11]])
		if name != end {
			return nil, fmt.Errorf("section %s ends as %s", name, end)
		}
		filled.Write(text[from:at[6]])
		if err := sections.ExecuteTemplate(&filled, name, all); err != nil {
			return nil, err
		}
		from = at[7]
	}
	if from == 0 {
		return nil, fmt.Errorf("no sections")
	}
	filled.Write(text[from:])
	return filled.Bytes(), nil
}
