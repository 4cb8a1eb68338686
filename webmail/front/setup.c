/* SPDX-License-Identifier: ISC */
#include "webmail/front/setup.h"

#include <openssl/sha.h>

#include "http/uri.h"
#include "http/xml.h"
#include "mail/address.h"

#define OUTLOOK_SCHEMA "http://schemas.microsoft.com/exchange/" \
	"autodiscover/outlook/responseschema/2006a"

/* ---- services ---- */

static int
compare(const void *a, const void *b)
{
	const struct setup_service *x = a, *y = b;

	if (x->kind != y->kind)
		return (int)x->kind - (int)y->kind;
	if (x->is_implicit != y->is_implicit)
		return x->is_implicit ? -1 : 1;
	return (int)x->port - (int)y->port;
}

static bool
has_service(const struct setup *setup, const struct setup_service *service)
{
	size_t i;

	for (i = 0; i < setup->services_len; i++)
		if (compare(&setup->services[i], service) == 0)
			return true;
	return false;
}

void
setup_add(struct setup *setup, struct str protocol, uint64_t port,
    struct str tls)
{
	static const char *const protocols[SETUP_KINDS] = {
		[SETUP_IMAP] = "imap", [SETUP_POP3] = "pop3",
		[SETUP_SMTP] = "submission",
	};
	struct setup_service service = { .port = (uint16_t)port,
	    .is_implicit = str_eq(tls, STR("implicit")) };
	unsigned kind = 0;

	while (kind < SETUP_KINDS &&
	    !str_eq(protocol, str_of(protocols[kind])))
		kind++;
	if (kind == SETUP_KINDS || port == 0 || port > UINT16_MAX ||
	    str_eq(tls, STR("none")) ||
	    setup->services_len == SETUP_SERVICES_MAX)
		return;
	service.kind = (enum setup_kind)kind;
	/* One listener has a row for each of its addresses. */
	if (has_service(setup, &service))
		return;
	setup->services[setup->services_len++] = service;
	qsort(setup->services, setup->services_len, sizeof(service), compare);
}

/* ---- whom it is about ---- */

static int
set_address(struct arena *arena, struct str text,
    struct setup_subject *subject_r, struct err *err)
{
	struct address address;
	struct buf out;
	int rc = address_parse(arena, text, ADDRESS_UTF8, &address, err);

	if (rc != 0)
		return rc;
	if (address.is_literal)
		return err_set(err, ERR_SYNTAX, "an address literal");
	buf_init(&out, 1024);
	address_put(&out, &address);
	subject_r->address = arena_str(arena, buf_str(&out));
	subject_r->domain = address.domain;
	buf_fini(&out);
	return 0;
}

/* The request's host without this label in front. */
static int
set_host(struct arena *arena, struct str host, struct str label,
    struct setup_subject *subject_r, struct err *err)
{
	if (str_begins(host, label))
		host = str_sub(host, label.len, STR_NPOS);
	return address_domain(arena, host, 0, &subject_r->domain, err);
}

static int
read_query(struct arena *arena, const struct http_request *request,
    const char *name, struct setup_subject *subject_r, struct err *err)
{
	struct str text;
	int rc = uri_query_get(arena, request->query, str_of(name), &text,
	    err);

	return rc != 0 ? rc : set_address(arena, text, subject_r, err);
}

/* ---- Thunderbird ---- */

static int
autoconfig_read(struct arena *arena, const struct http_request *request,
    struct setup_subject *subject_r, struct err *err)
{
	int rc = read_query(arena, request, "emailaddress", subject_r, NULL);

	/* Without an address, or with a placeholder: the host's domain. */
	return rc == 0 ? 0 : set_host(arena, request->host,
	    STR("autoconfig."), subject_r, err);
}

static void
autoconfig_service(const struct setup *setup,
    const struct setup_service *service, struct buf *out)
{
	static const char *const types[SETUP_KINDS] = {
		[SETUP_IMAP] = "imap", [SETUP_POP3] = "pop3",
		[SETUP_SMTP] = "smtp",
	};
	const char *element = service->kind == SETUP_SMTP ?
	    "outgoingServer" : "incomingServer";

	buf_addf(out, "    <%s type=\"%s\">\n", element,
	    types[service->kind]);
	xml_put_element(out, 6, "hostname", setup->hostname);
	buf_addf(out, "      <port>%u</port>\n"
	    "      <socketType>%s</socketType>\n"
	    "      <username>%%EMAILADDRESS%%</username>\n"
	    "      <authentication>password-cleartext</authentication>\n"
	    "    </%s>\n", service->port, service->is_implicit ? "SSL" :
	    "STARTTLS", element);
}

static void
autoconfig_put(const struct setup *setup, const struct setup_subject *subject,
    struct buf *out)
{
	size_t i;

	buf_add_cstr(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<clientConfig version=\"1.1\">\n  <emailProvider id=\"");
	xml_put(out, subject->domain);
	buf_add_cstr(out, "\">\n");
	xml_put_element(out, 4, "domain", subject->domain);
	xml_put_element(out, 4, "displayName", subject->domain);
	xml_put_element(out, 4, "displayShortName", subject->domain);
	for (i = 0; i < setup->services_len; i++)
		autoconfig_service(setup, &setup->services[i], out);
	buf_add_cstr(out, "  </emailProvider>\n</clientConfig>\n");
}

/* ---- Outlook ---- */

static int
autodiscover_read(struct arena *arena, const struct http_request *request,
    struct setup_subject *subject_r, struct err *err)
{
	struct xml_wanted wanted[] = {
		{ .name = "EMailAddress" },
		{ .name = "AcceptableResponseSchema" },
	};
	int rc = xml_read(arena, request->body, wanted, 2, err);

	if (rc != 0)
		return rc;
	/* Exchange ActiveSync asks for a schema of its own. */
	subject_r->wants_other = wanted[1].text.p != NULL &&
	    !str_eq(wanted[1].text, STR(OUTLOOK_SCHEMA));
	return set_address(arena, wanted[0].text, subject_r, err);
}

static void
autodiscover_error(struct buf *out, unsigned code, const char *message)
{
	buf_addf(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
	    "<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/"
	    "autodiscover/responseschema/2006\">\n  <Response>\n"
	    "    <Error Time=\"00:00:00.0000000\" Id=\"0\">\n"
	    "      <ErrorCode>%u</ErrorCode>\n"
	    "      <Message>%s</Message>\n      <DebugData />\n"
	    "    </Error>\n  </Response>\n</Autodiscover>\n", code, message);
}

/* [MS-OXDSCLI] section 2.2.4.1.1.2.6: Protocol. */
static void
autodiscover_service(const struct setup *setup,
    const struct setup_service *service, struct str address, struct buf *out)
{
	static const char *const types[SETUP_KINDS] = {
		[SETUP_IMAP] = "IMAP", [SETUP_POP3] = "POP3",
		[SETUP_SMTP] = "SMTP",
	};

	buf_addf(out, "      <Protocol>\n        <Type>%s</Type>\n",
	    types[service->kind]);
	xml_put_element(out, 8, "Server", setup->hostname);
	buf_addf(out, "        <Port>%u</Port>\n", service->port);
	xml_put_element(out, 8, "LoginName", address);
	buf_addf(out, "        <DomainRequired>off</DomainRequired>\n"
	    "        <SPA>off</SPA>\n"
	    "        <SSL>%s</SSL>\n"
	    "        <Encryption>%s</Encryption>\n"
	    "        <AuthRequired>on</AuthRequired>\n",
	    service->is_implicit ? "on" : "off",
	    service->is_implicit ? "SSL" : "TLS");
	if (service->kind == SETUP_SMTP)
		buf_add_cstr(out, "        <UsePOPAuth>on</UsePOPAuth>\n"
		    "        <SMTPLast>off</SMTPLast>\n");
	buf_add_cstr(out, "      </Protocol>\n");
}

static void
autodiscover_put(const struct setup *setup,
    const struct setup_subject *subject, struct buf *out)
{
	size_t i;

	if (subject->wants_other) {
		autodiscover_error(out, 601, "Provider is not available");
		return;
	}
	buf_add_cstr(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
	    "<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/"
	    "autodiscover/responseschema/2006\">\n"
	    "  <Response xmlns=\"" OUTLOOK_SCHEMA "\">\n    <User>\n");
	xml_put_element(out, 6, "DisplayName", subject->address);
	buf_add_cstr(out, "    </User>\n    <Account>\n"
	    "      <AccountType>email</AccountType>\n"
	    "      <Action>settings</Action>\n");
	for (i = 0; i < setup->services_len; i++)
		autodiscover_service(setup, &setup->services[i],
		    subject->address, out);
	buf_add_cstr(out, "    </Account>\n  </Response>\n"
	    "</Autodiscover>\n");
}

static void
autodiscover_unknown(struct buf *out)
{
	autodiscover_error(out, 500, "The email address can't be found.");
}

/* autodiscover.json: where the XML is. */
static int
locator_read(struct arena *arena, const struct http_request *request,
    struct setup_subject *subject_r, struct err *err)
{
	struct str protocol;

	if (uri_query_get(arena, request->query, STR("Protocol"), &protocol,
	    NULL) == 0)
		subject_r->wants_other = !str_eq_nocase(protocol,
		    STR("AutodiscoverV1"));
	return read_query(arena, request, "Email", subject_r, err);
}

static void
locator_put(const struct setup *setup, const struct setup_subject *subject,
    struct buf *out)
{
	if (subject->wants_other)
		buf_add_cstr(out, "{\"ErrorCode\":\"ProtocolNotSupported\","
		    "\"ErrorMessage\":\"This protocol is not offered.\"}\n");
	else
		buf_addf(out, "{\"Protocol\":\"AutodiscoverV1\",\"Url\":"
		    "\"https://%.*s/autodiscover/autodiscover.xml\"}\n",
		    STR_FMT(setup->hostname));
}

/* ---- Apple ---- */

static int
profile_read(struct arena *arena, const struct http_request *request,
    struct setup_subject *subject_r, struct err *err)
{
	return read_query(arena, request, "email", subject_r, err);
}

static void
put_pair(struct buf *out, const char *key, const char *type,
    struct str value)
{
	xml_put_element(out, 4, "key", str_of(key));
	xml_put_element(out, 4, type, value);
}

static void
put_flag(struct buf *out, const char *key, bool value)
{
	xml_put_element(out, 4, "key", str_of(key));
	buf_add_cstr(out, value ? "    <true/>\n" : "    <false/>\n");
}

/* A UUID (version 8 of RFC 9562) that stays the same for the same subject,
 * so that a profile that is fetched again replaces the old one. */
static void
put_uuid(struct buf *out, const char *what, struct str hostname,
    struct str address)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct buf text;
	int i;

	buf_init(&text, 2048);
	buf_addf(&text, "%s\n%.*s\n%.*s", what, STR_FMT(hostname),
	    STR_FMT(address));
	SHA256((const unsigned char *)buf_str(&text).p, text.len, digest);
	buf_fini(&text);
	digest[6] = (digest[6] & 0x0f) | 0x80;
	digest[8] = (digest[8] & 0x3f) | 0x80;
	for (i = 0; i < 16; i++)
		buf_addf(out, i == 4 || i == 6 || i == 8 || i == 10 ?
		    "-%02X" : "%02X", digest[i]);
}

static void
put_identity(struct buf *out, const char *what, const char *suffix,
    const struct setup *setup, const struct setup_subject *subject)
{
	struct buf text;

	buf_init(&text, 1024);
	put_uuid(&text, what, setup->hostname, subject->address);
	put_pair(out, "PayloadUUID", "string", buf_str(&text));
	buf_reset(&text);
	buf_addf(&text, "%.*s.%s", STR_FMT(setup->hostname), suffix);
	put_pair(out, "PayloadIdentifier", "string", buf_str(&text));
	buf_fini(&text);
	buf_add_cstr(out, "    <key>PayloadVersion</key>\n"
	    "    <integer>1</integer>\n");
}

/* The service to use: the first of its kind. */
static const struct setup_service *
service_of(const struct setup *setup, enum setup_kind kind)
{
	size_t i;

	for (i = 0; i < setup->services_len; i++)
		if (setup->services[i].kind == kind)
			return &setup->services[i];
	return NULL;
}

static void
put_server(struct buf *out, const char *prefix, const struct setup *setup,
    const struct setup_service *service, struct str address)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "%sAuthentication", prefix);
	put_pair(out, key, "string", STR("EmailAuthPassword"));
	(void)snprintf(key, sizeof(key), "%sHostName", prefix);
	put_pair(out, key, "string", setup->hostname);
	(void)snprintf(key, sizeof(key), "%sPortNumber", prefix);
	xml_put_element(out, 4, "key", str_of(key));
	buf_addf(out, "    <integer>%u</integer>\n", service->port);
	(void)snprintf(key, sizeof(key), "%sUseSSL", prefix);
	put_flag(out, key, true);
	(void)snprintf(key, sizeof(key), "%sUsername", prefix);
	put_pair(out, key, "string", address);
}

static void
profile_account(const struct setup *setup,
    const struct setup_subject *subject, struct buf *out)
{
	const struct setup_service *incoming = service_of(setup, SETUP_IMAP);
	const struct setup_service *outgoing = service_of(setup, SETUP_SMTP);
	bool is_imap = incoming != NULL;

	if (incoming == NULL)
		incoming = service_of(setup, SETUP_POP3);
	put_pair(out, "PayloadType", "string",
	    STR("com.apple.mail.managed"));
	put_identity(out, "account", "mail", setup, subject);
	put_pair(out, "PayloadDisplayName", "string", subject->address);
	put_pair(out, "EmailAccountDescription", "string", subject->address);
	put_pair(out, "EmailAddress", "string", subject->address);
	put_pair(out, "EmailAccountType", "string", is_imap ?
	    STR("EmailTypeIMAP") : STR("EmailTypePOP"));
	if (incoming != NULL)
		put_server(out, "IncomingMailServer", setup, incoming,
		    subject->address);
	if (outgoing != NULL)
		put_server(out, "OutgoingMailServer", setup, outgoing,
		    subject->address);
	put_flag(out, "OutgoingPasswordSameAsIncomingPassword", true);
}

static void
profile_put(const struct setup *setup, const struct setup_subject *subject,
    struct buf *out)
{
	buf_add_cstr(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
	    "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
	    "<plist version=\"1.0\">\n<dict>\n"
	    "  <key>PayloadContent</key>\n  <array>\n   <dict>\n");
	profile_account(setup, subject, out);
	buf_add_cstr(out, "   </dict>\n  </array>\n");
	put_pair(out, "PayloadType", "string", STR("Configuration"));
	put_identity(out, "profile", "profile", setup, subject);
	put_pair(out, "PayloadDisplayName", "string", subject->address);
	put_pair(out, "PayloadOrganization", "string", subject->domain);
	put_flag(out, "PayloadRemovalDisallowed", false);
	buf_add_cstr(out, "</dict>\n</plist>\n");
}

/* ---- MTA-STS ---- */

static int
policy_read(struct arena *arena, const struct http_request *request,
    struct setup_subject *subject_r, struct err *err)
{
	/* RFC 8461 section 3.3: only at that name. */
	if (!str_begins(request->host, STR("mta-sts.")))
		return err_set(err, ERR_NOTFOUND, "another host");
	return set_host(arena, request->host, STR("mta-sts."), subject_r,
	    err);
}

static void
policy_put(const struct setup *setup, const struct setup_subject *subject,
    struct buf *out)
{
	(void)subject;
	mta_sts_put_policy(out, setup->mta_sts_mode, setup->hostname);
}

/* ---- routes ---- */

static const struct setup_page autoconfig = {
	.read = autoconfig_read, .put = autoconfig_put, .missing = 404,
	.content_type = "text/xml; charset=utf-8",
};

static const struct setup_page autodiscover = {
	.read = autodiscover_read, .put = autodiscover_put,
	.put_unknown = autodiscover_unknown, .missing = 400,
	.content_type = "text/xml; charset=utf-8",
};

static const struct setup_page locator = {
	.read = locator_read, .put = locator_put, .missing = 400,
	.content_type = "application/json",
};

static const struct setup_page profile = {
	.read = profile_read, .put = profile_put, .missing = 400,
	.content_type = "application/x-apple-aspen-config",
	.fields = "Content-Disposition: attachment; "
	    "filename=\"mail.mobileconfig\"\r\n",
};

static const struct setup_page policy = {
	.read = policy_read, .put = policy_put, .missing = 404,
	.content_type = "text/plain; charset=us-ascii",
};

const struct http_route setup_routes[] = {
	{ "GET", "/.well-known/autoconfig/mail/config-v1.1.xml", false,
	    &autoconfig },
	{ "GET", "/mail/config-v1.1.xml", false, &autoconfig },
	{ "POST", "/autodiscover/autodiscover.xml", true, &autodiscover },
	{ "GET", "/autodiscover/autodiscover.json", true, &locator },
	{ "GET", "/apple.mobileconfig", false, &profile },
	{ "GET", "/.well-known/mta-sts.txt", false, &policy },
	{ NULL, NULL, false, NULL },
};
