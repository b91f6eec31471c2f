package api

import (
	"errors"
	"slices"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// fault answers an error in the shape of all refusals: {code, reason, retry,
// message}, and errors by field where one is wrong. Pages of allowed origins can read
// it, wherever it was refused.
func (s *Server) fault(c *fiber.Ctx, err error) error {
	if answer, ok := errors.AsType[*wire.AnswerError](err); ok {
		c.Set(fiber.HeaderContentType, answer.ContentType)
		return c.Status(answer.Status).Send(answer.Body)
	}
	refusal := refusalOfHTTP(err)
	if refusal.Code == schemas.Internal {
		s.config.Log.Error("request", "path", c.Path(), "error", err)
	}
	if conn, is := c.Context().Conn().(*punctualConn); is && refusal.Code == schemas.FrameTooLarge {
		conn.unread = true
	}
	s.node.CountRefusal(refusal.Code)
	s.letReadRefusal(c)
	if limited, ok := errors.AsType[*admission.LimitedError](err); ok {
		retryAfter(c, limited.After)
	}
	body := fiber.Map{
		"code": refusal.Code, "reason": refusal.Code.Reason(), "retry": refusal.Code.Retry(), "message": refusal.Sentence(),
	}
	if refusal.Field != "" {
		body["errors"] = fiber.Map{refusal.Field: []string{refusal.Message}}
	}
	return c.Status(refusal.Code.Status()).JSON(body)
}

// knownMethods refuses methods that are none of HTTP's, which Fiber would answer in
// plain text before it asks anybody.
func (s *Server) knownMethods(app *fiber.App) {
	handle := app.Server().Handler
	app.Server().Handler = func(ctx *fasthttp.RequestCtx) {
		if slices.Contains(fiber.DefaultMethods, string(ctx.Method())) {
			handle(ctx)
			return
		}
		c := app.AcquireCtx(ctx)
		defer app.ReleaseCtx(c)
		_ = s.fault(c, schemas.Refuse(schemas.MethodNotAllowed, "there is no method %.20q", ctx.Method())) // it encodes
	}
}

// refusedByFiber are the refusals that Fiber and fasthttp make themselves, by
// their HTTP status.
var refusedByFiber = map[int]schemas.Code{
	fiber.StatusNotFound:                    schemas.NotFound,
	fiber.StatusMethodNotAllowed:            schemas.MethodNotAllowed,
	fiber.StatusUpgradeRequired:             schemas.UpgradeRequired,
	fiber.StatusRequestEntityTooLarge:       schemas.FrameTooLarge,
	fiber.StatusRequestHeaderFieldsTooLarge: schemas.FrameTooLarge,
	fiber.StatusBadRequest:                  schemas.InvalidFrame,
}

// refusalOfHTTP is what a caller is told of an error. What only the framework has
// a name for, and is the caller's doing, is an invalid request; the rest is ours.
func refusalOfHTTP(err error) schemas.Refusal {
	refused, ok := errors.AsType[*fiber.Error](err)
	if !ok {
		return session.RefusalFor(err)
	}
	if refused.Code == fiber.StatusRequestTimeout {
		return schemas.Refuse(schemas.Slow, "the request did not come whole in time")
	}
	if code, known := refusedByFiber[refused.Code]; known {
		return schemas.Refusal{Code: code}
	}
	if refused.Code < fiber.StatusInternalServerError {
		return schemas.Refuse(schemas.InvalidFrame, "%s", refused.Message)
	}
	return session.RefusalFor(err)
}
