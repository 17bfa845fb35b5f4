"""A resource server in Python that knows only where our keys are.

The same questions as in jose.test.mjs, put to PyJWT: a second library by other people, in another
language, over another implementation of the signatures, must come to the same answers. scripts/e2e.mjs
runs this in a virtual environment with a pinned PyJWT and says by environment where and who.
"""

import base64
import json
import os
import pathlib
import re
import unittest
import urllib.request

import jwt

JWKS_URL = os.environ["E2E_JWKS_URL"]
TOKEN = os.environ["E2E_ACCESS_TOKEN"]
ISSUER = os.environ["E2E_ISSUER"]
AUDIENCE = os.environ["E2E_AUDIENCE"]
SUBJECT = os.environ["E2E_SUBJECT"]
ALGORITHM = os.environ["E2E_ALGORITHM"]
KINDS = {"EdDSA": ("OKP", "Ed25519"), "ES256": ("EC", "P-256"), "RS256": ("RSA", None)}

# RFC 9068, section 2.2.
REQUIRED_CLAIMS = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]
# RFC 7518, sections 6.2.2, 6.3.2 and 6.4.1; RFC 8037, section 2.
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

KEYS = jwt.PyJWKClient(JWKS_URL, timeout=10)


def verify(token, **other):
    """Verifies as an origin would; gives header and claims."""
    expected = {
        "algorithms": [ALGORITHM],
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "options": {"require": REQUIRED_CLAIMS},
    }
    # By key id: get_signing_key_from_jwt would read the claims before anything is verified.
    key = KEYS.get_signing_key(jwt.get_unverified_header(token)["kid"])
    return jwt.decode_complete(token, key, **{**expected, **other})


def base64url(text):
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def with_claims(old, new):
    """The token with its claims' text changed, still well-formed."""
    header, payload, signature = TOKEN.split(".")
    claims = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    assert claims.count(old) == 1
    return ".".join([header, base64url(claims.replace(old, new)), signature])


class Accepted(unittest.TestCase):
    def test_the_token_verifies_against_the_key_set(self):
        verified = verify(TOKEN)
        header, claims = verified["header"], verified["payload"]
        self.assertEqual((header["alg"], header["typ"]), (ALGORITHM, "at+jwt"))
        self.assertEqual(claims["sub"], SUBJECT)
        self.assertEqual(claims["roles"], ["user"])

    def test_the_claims_are_those_of_rfc_9068(self):
        claims = verify(TOKEN)["payload"]
        for name in REQUIRED_CLAIMS:
            self.assertTrue(claims.get(name), f"{name} is missing")
        self.assertEqual((claims["iss"], claims["aud"]), (ISSUER, AUDIENCE))
        for name in ["client_id", "jti"]:
            self.assertIsInstance(claims[name], str, name)
        for name in ["iat", "exp", "auth_time"]:
            self.assertIsInstance(claims[name], int, name)
        self.assertLess(claims["iat"], claims["exp"])
        self.assertLessEqual(claims["auth_time"], claims["iat"])
        self.assertEqual(claims["amr"], ["pwd"])

    def test_the_key_set_is_public(self):
        with urllib.request.urlopen(JWKS_URL, timeout=10) as response:
            keys = json.load(response)["keys"]
        self.assertTrue(keys)
        for key in keys:
            self.assertEqual((key["kty"], key.get("crv")), KINDS[ALGORITHM])
            self.assertEqual(PRIVATE_MEMBERS & key.keys(), set())


class Refused(unittest.TestCase):
    def test_a_token_with_one_changed_payload_character(self):
        header, payload, signature = TOKEN.split(".")
        for at, old in enumerate(payload):
            changed = payload[:at] + ("B" if old == "A" else "A") + payload[at + 1 :]
            with self.assertRaises(jwt.InvalidSignatureError, msg=f"character {at}"):
                verify(".".join([header, changed, signature]))

    def test_a_token_whose_claims_were_rewritten(self):
        other = SUBJECT[:-1] + ("1" if SUBJECT.endswith("0") else "0")
        for old, new in [('["user"]', '["admin"]'), (SUBJECT, other)]:
            with self.assertRaises(jwt.InvalidSignatureError):
                verify(with_claims(old, new))

    def test_a_token_without_its_signature(self):
        kid = jwt.get_unverified_header(TOKEN)["kid"]
        header = base64url(json.dumps({"alg": "none", "typ": "at+jwt", "kid": kid}))
        with self.assertRaises(jwt.InvalidAlgorithmError):
            verify(f"{header}.{TOKEN.split('.')[1]}.")

    def test_a_token_where_only_another_algorithm_is_allowed(self):
        with self.assertRaises(jwt.InvalidAlgorithmError):
            verify(TOKEN, algorithms=["ES384"])

    def test_a_wrong_audience(self):
        with self.assertRaises(jwt.InvalidAudienceError):
            verify(TOKEN, audience="somebody-else")

    def test_a_wrong_issuer(self):
        with self.assertRaises(jwt.InvalidIssuerError):
            verify(TOKEN, issuer="https://issuer.example")


class Assertion(unittest.TestCase):
    """By the very lines that docs/ORIGINS.md gives for Python."""

    def setUp(self):
        page = pathlib.Path(__file__).parents[2] / "docs" / "ORIGINS.md"
        lines = re.search(r"```python\n(.+?)```", page.read_text(), re.S)[1].replace("EdDSA", ALGORITHM)
        os.environ.update(EDGEWARDEN_URL=ISSUER, EDGEWARDEN_AUDIENCE=os.environ["E2E_ORIGIN"])
        self.documented = {}
        exec(lines, self.documented)
        request = urllib.request.Request(
            os.environ["E2E_URL"] + "/demo/private/x", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.assertion = json.load(answer)["headers"]["x-auth-assertion"]

    def test_an_origin_learns_who_calls(self):
        claims = self.documented["caller"](self.assertion)
        self.assertEqual((claims["sub"], claims["sub_iss"], claims["roles"]), (SUBJECT, ISSUER, ["user"]))

    def test_what_is_not_one_for_this_origin_is_refused(self):
        with self.assertRaises(jwt.PyJWTError):
            self.documented["caller"](TOKEN)
        with self.assertRaises(jwt.PyJWTError):
            self.documented["caller"](self.assertion[:-8] + "AAAAAAAA")
        self.documented["AUDIENCE"] = "https://other.example"
        with self.assertRaises(jwt.InvalidAudienceError):
            self.documented["caller"](self.assertion)


if __name__ == "__main__":
    unittest.main()
