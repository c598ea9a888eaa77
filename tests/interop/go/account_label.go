package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"errors"
	"os"
	"strings"

	"golang.org/x/crypto/acme"
)

const accountLabel = "dns-account-01"

// obtainByAccountLabel answers dns-account-01 (draft-ietf-acme-dns-account-label): as dns-01, but the TXT value stands at
// a label that is made of the ACME account's URL, so that several accounts prove control of one name side by side.
func obtainByAccountLabel(ctx context.Context, names []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	client := &acme.Client{Key: key, DirectoryURL: os.Getenv("ACME_DIRECTORY")}
	account, err := client.Register(ctx, &acme.Account{}, acme.AcceptTOS)
	if err != nil {
		return nil, err
	}
	order, err := client.AuthorizeOrder(ctx, acme.DomainIDs(names...))
	if err != nil {
		return nil, err
	}
	for _, url := range order.AuthzURLs {
		if err := authorize(ctx, client, url, labelOf(account.URI)); err != nil {
			return nil, err
		}
	}
	ready, err := client.WaitOrder(ctx, order.URI)
	if err != nil {
		return nil, err
	}
	request, err := signingRequest(names)
	if err != nil {
		return nil, err
	}
	// Its own waiting needs a Location in the CA's reply to finalize, which pebble leaves out: wait by the order's URL.
	_, _, finalized := client.CreateOrderCert(ctx, ready.FinalizeURL, request, true)
	issued, err := client.WaitOrder(ctx, order.URI)
	if err != nil || issued.CertURL == "" {
		return nil, errors.Join(finalized, err)
	}
	chain, err := client.FetchCert(ctx, issued.CertURL, true)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, der := range chain {
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

func labelOf(accountURI string) string {
	digest := sha256.Sum256([]byte(accountURI))
	return "_" + strings.ToLower(base32.StdEncoding.EncodeToString(digest[:10]))
}

func authorize(ctx context.Context, client *acme.Client, url, label string) error {
	authorization, err := client.GetAuthorization(ctx, url)
	if err != nil || authorization.Status == acme.StatusValid {
		return err
	}
	for _, challenge := range authorization.Challenges {
		if challenge.Type != accountLabel {
			continue
		}
		value, err := client.DNS01ChallengeRecord(challenge.Token)
		if err != nil {
			return err
		}
		if err := run("PRESENT_COMMAND", label, value); err != nil {
			return err
		}
		if _, err := client.Accept(ctx, challenge); err != nil {
			return err
		}
		_, err = client.WaitAuthorization(ctx, url)
		return err
	}
	return errors.New("the CA does not offer " + accountLabel)
}

func signingRequest(names []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
}
