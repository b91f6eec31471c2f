package schemas

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxUser is the longest id of a user, in bytes of UTF-8.
const MaxUser = 128

// ServicePrefix begins the ids of Latido's services; no user of another role than "service" has such an id.
const ServicePrefix = "service:"

// AnonymousPrefix begins the ids of those who have not signed in; no token names such a user.
const AnonymousPrefix = "anonymous:"

var (
	errUserLength = errors.New("a user's id has 1 to 128 bytes")
	errUserText   = errors.New("a user's id is UTF-8 without characters that cannot be seen, and has no blanks at its ends")
)

// CheckUser says why a text cannot name a user, or nil. Ids are compared byte by byte, so what nobody could tell from another
// id by looking is none: control and format characters (Unicode's Cc, Cf, Zl, Zp), those that are shown as nothing (fillers,
// variation selectors, the blank of Braille), blanks at either end, and U+FFFD, which is what decoders make of broken text. The same letters in NFC and in NFD are two users, everywhere.
func CheckUser(id string) error {
	if id == "" || len(id) > MaxUser {
		return errUserLength
	}
	unseen := func(r rune) bool {
		const brailleBlank = '\u2800'
		return r == utf8.RuneError || r == brailleBlank || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
			unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
	}
	if strings.ContainsFunc(id, unseen) || strings.TrimSpace(id) != id {
		return errUserText
	}
	return nil
}
