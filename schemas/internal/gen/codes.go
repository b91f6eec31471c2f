package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
)

// code is one entry of errors.json.
type code struct {
	Code        int    `json:"code"`
	Reason      string `json:"reason"`
	Status      int    `json:"status"`
	Description string `json:"description"`
}

func readCodes(root string) ([]code, error) {
	text, err := os.ReadFile(filepath.Join(root, "errors.json"))
	if err != nil {
		return nil, err
	}
	var codes []code
	if err := json.Unmarshal(text, &codes); err != nil {
		return nil, fmt.Errorf("read errors.json: %w", err)
	}
	return codes, nil
}

func goCodes(root string) ([]byte, error) {
	codes, err := readCodes(root)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString(goHeader + "package schemas\n\n// The codes of errors.json.\nconst (\n")
	for _, c := range codes {
		fmt.Fprintf(&out, "\t%s Code = %d // %s\n", goName(c.Reason), c.Code, c.Description)
	}
	out.WriteString(")\n\nvar codes = map[Code]entry{\n")
	for _, c := range codes {
		fmt.Fprintf(&out, "\t%s: {reason: %q, status: %d, sentence: %q},\n", goName(c.Reason), c.Reason, c.Status, c.Description)
	}
	out.WriteString("}\n")
	return format.Source(out.Bytes())
}

func typescriptCodes(root string) ([]byte, error) {
	codes, err := readCodes(root)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString(typescriptHeader + "/** The codes of refusals and of closes, by reason. */\nexport const codes = {\n")
	for _, c := range codes {
		fmt.Fprintf(&out, "  /** %s */\n  %s: %d,\n", c.Description, c.Reason, c.Code)
	}
	out.WriteString("} as const;\n\nexport type Reason = keyof typeof codes;\n\nexport type Code = (typeof codes)[Reason];\n\n" +
		"/** Whether the same request may succeed later; holds for codes that are not listed, too. */\n" +
		"export const retryable = (code: number): boolean => code >= 4500;\n")
	return out.Bytes(), nil
}
