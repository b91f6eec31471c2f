// Package presence holds Latido to what it promises of people: who is there, with
// what, doing what, and who may know. Each test runs a whole stack and speaks to it
// as a browser does.
package presence
