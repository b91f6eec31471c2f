package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/identity"
)

// fields are those of a status, in the order in which a wrong one is told of.
var fields = []string{"status", "custom_message", "until"}

// postStatus sets the caller's own status. It takes what a page can send while it
// goes away: navigator.sendBeacon knows no headers, so the token may be a field of
// the body, which may be JSON under any content type, or a form.
func (s *Server) postStatus(c *fiber.Ctx) error {
	if err := knows(c); err != nil {
		return err
	}
	sent, err := readForm(c)
	if err != nil {
		return err
	}
	by, err := s.sendingUser(c, sent)
	if err != nil {
		return err
	}
	if err := s.pay(c, by.User, admission.Sending); err != nil {
		return err
	}
	if err := sent.only(append([]string{"token"}, fields...)...); err != nil {
		return err
	}
	status := make(form)
	for _, field := range fields {
		if value := sent[field]; !isBlank(value) {
			status[field] = value
		}
	}
	if _, given := status["status"]; !given {
		return schemas.Refusal{Code: schemas.InvalidData, Message: "status: is required", Field: "status"}
	}
	body, err := json.Marshal(status)
	if err != nil {
		return err
	}
	schema, err := schemas.Command(session.KindUser, "set_status")
	if err != nil {
		return err
	}
	if err := schema.Validate(body); err != nil {
		return err
	}
	if _, err := s.node.Command(c.UserContext(), by, wire.Call{Channel: session.KindUser + ":" + by.User, Command: "set_status", Data: body}); err != nil {
		return err
	}
	return c.JSON(status)
}

// deleteStatus lets the caller's devices speak again. It needs no body, and has no
// fields for one.
func (s *Server) deleteStatus(c *fiber.Ctx) error {
	if err := knows(c); err != nil {
		return err
	}
	sent := make(form)
	if len(c.Body()) > 0 {
		if err := readObject(c, &sent); err != nil {
			return err
		}
	}
	if err := sent.only(); err != nil {
		return err
	}
	id, _ := c.Locals(localIdentity).(identity.Identity)
	return s.send(c, session.Sender{Identity: id}, wire.Call{Channel: session.KindUser + ":" + id.User, Command: "clear_status", Data: []byte("{}")})
}

// sendingUser is whoever the header's token or the body's is of.
func (s *Server) sendingUser(c *fiber.Ctx, sent form) (session.Sender, error) {
	token := bearer(c)
	if token == "" && json.Unmarshal(sent["token"], &token) != nil {
		token = ""
	}
	id, err := s.node.Verifier.Verify(token)
	return session.Sender{Identity: id}, err
}

// readForm reads the body's fields. A form is parsed by us, when it is asked for:
// its size is bounded by then, and that it is not encoded is known.
func readForm(c *fiber.Ctx) (form, error) {
	sent := make(form)
	kind := string(c.Request().Header.ContentType())
	isForm := strings.HasPrefix(kind, fiber.MIMEApplicationForm) || strings.HasPrefix(kind, fiber.MIMEMultipartForm)
	if !isForm || bytes.HasPrefix(bytes.TrimSpace(c.Body()), []byte("{")) { // curl -d calls everything a form
		return sent, readObject(c, &sent)
	}
	given, err := formFields(c)
	if err != nil {
		return nil, err
	}
	for field, values := range given {
		if len(values) != 1 {
			return nil, schemas.Refusal{Code: schemas.InvalidFrame, Message: fmt.Sprintf("the field %q is one text", field), Field: field}
		}
		if !utf8.ValidString(values[0]) {
			return nil, schemas.Refusal{Code: schemas.InvalidData, Message: field + ": the text is not UTF-8", Field: field}
		}
		quoted, err := json.Marshal(values[0])
		if err != nil {
			return nil, err
		}
		sent[field] = quoted
	}
	return sent, nil
}

// formFields are the texts of a form by their field; a file is none.
func formFields(c *fiber.Ctx) (map[string][]string, error) {
	if !strings.HasPrefix(string(c.Request().Header.ContentType()), fiber.MIMEMultipartForm) {
		fields := make(map[string][]string)
		c.Request().PostArgs().VisitAll(func(name, value []byte) {
			fields[string(name)] = append(fields[string(name)], string(value))
		})
		return fields, nil
	}
	parts, err := c.MultipartForm()
	if err != nil {
		return nil, schemas.Refuse(schemas.InvalidFrame, "the body is no form")
	}
	for name := range parts.File {
		parts.Value[name] = nil
	}
	return parts.Value, nil
}

func isBlank(value json.RawMessage) bool {
	return len(value) == 0 || string(value) == "null" || string(value) == `""`
}
