package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/schemas"
)

// plain refuses, before anything reads the request, what would not be what it
// seems: a body under a Content-Encoding, which Fiber and fasthttp inflate without
// a bound, layer by layer (RFC 9110, section 8.4, allows 415), and an address that
// is no UTF-8.
func plain(c *fiber.Ctx) error {
	for _, encoding := range c.Request().Header.PeekAll(fiber.HeaderContentEncoding) {
		if name := strings.TrimSpace(string(encoding)); name != "" && !strings.EqualFold(name, "identity") {
			return schemas.Refuse(schemas.EncodingRefused, "the body is sent without a Content-Encoding")
		}
	}
	uri := c.Request().URI()
	for _, part := range []string{string(uri.PathOriginal()), strings.ReplaceAll(string(uri.QueryString()), "+", " ")} {
		if text, err := url.PathUnescape(part); err != nil || !utf8.ValidString(text) {
			return schemas.Refuse(schemas.InvalidFrame, "the address is percent-encoded UTF-8")
		}
	}
	return c.Next()
}

// form holds the fields of a body as they came, JSON each.
type form map[string]json.RawMessage

// only refuses fields that would be passed over in silence.
func (f form) only(names ...string) error {
	for field := range f {
		if !slices.Contains(names, field) {
			return schemas.Refusal{Code: schemas.InvalidFrame, Message: fmt.Sprintf("there is no field %q here", field), Field: field}
		}
	}
	return nil
}

// readObject reads a body that is one JSON object. What it keeps of it is a copy.
func readObject(c *fiber.Ctx, into any) error {
	body, err := schemas.CanonicalBody(c.Body())
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil || body[0] != '{' {
		return schemas.Refuse(schemas.InvalidJSON, "the body is one JSON object")
	}
	return nil
}

// knows refuses query parameters that would be passed over in silence. An empty one is
// not given, as in a form whose field was left empty: nobody else sees it.
func knows(c *fiber.Ctx, names ...string) (err error) { return knowsAll(c, "", names...) }

// knowsAll is knows where one of the parameters may be repeated.
func knowsAll(c *fiber.Ctx, repeated string, names ...string) (err error) {
	type parameter struct{ name, value string }
	var given []parameter
	arguments := c.Context().QueryArgs()
	arguments.VisitAll(func(key, value []byte) {
		name := string(key)
		switch {
		case !slices.Contains(names, name):
			err = schemas.Refuse(schemas.InvalidFrame, "no query parameter %q here, only: %s", name, cmp.Or(strings.Join(names, ", "), "none"))
		case len(value) == 0:
		case name != repeated && slices.ContainsFunc(given, func(p parameter) bool { return p.name == name }):
			err = schemas.Refuse(schemas.InvalidFrame, "the query parameter %q is given twice", name)
		default:
			given = append(given, parameter{name, string(value)})
		}
	})
	arguments.Reset()
	for _, p := range given {
		arguments.Add(p.name, p.value)
	}
	return err
}
