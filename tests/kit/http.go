package kit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Request is a request to the HTTP API.
type Request struct {
	Method, Path string
	Token        string // none when empty
	Body         string
	Header       map[string]string // beside the token, or in its place
}

// Answer is what the HTTP API says.
type Answer struct {
	Status int
	Header http.Header
	Raw    []byte
	Body   Frame // nil when Raw is no JSON object
}

// client opens a connection for each request: the server ends those that idle, and a
// request on one that is just ending fails.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Ask asks a bridge's address over HTTP. A refusal is an answer, no error.
func Ask(ctx context.Context, address string, asked Request) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, asked.Method, "http://"+address+asked.Path, strings.NewReader(asked.Body))
	if err != nil {
		return Answer{}, err
	}
	if asked.Token != "" {
		request.Header.Set("Authorization", "Bearer "+asked.Token)
	}
	for name, value := range asked.Header {
		if name == "Host" {
			request.Host = value
		}
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	answer := Answer{Status: response.StatusCode, Header: response.Header}
	if answer.Raw, err = io.ReadAll(response.Body); err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", asked.Method, asked.Path, err)
	}
	_ = json.Unmarshal(answer.Raw, &answer.Body) // a page is none
	return answer, nil
}
