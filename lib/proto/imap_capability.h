/* SPDX-License-Identifier: ISC */
/*
 * imap_capability: what the server says it can do, by state, in one place
 * for the front (greeting, before login, the answer to login) and the engine.
 *
 * RFC.        RFC 3501 section 7.2.1, RFC 9051 section 7.2.2. Each word
 *             stands for what is served: RFC 2087 and 9208 (QUOTA), 2177
 *             (IDLE), 2342 (NAMESPACE), 2971 (ID), 3348 (CHILDREN), 3502
 *             (MULTIAPPEND), 3516 (BINARY), 3691 (UNSELECT), 4315 (UIDPLUS),
 *             4731 (ESEARCH), 4959 (SASL-IR), 4978
 *             (COMPRESS=DEFLATE), 5032 (WITHIN), 5161 (ENABLE),
 *             5182 (SEARCHRES), 5256 (SORT, THREAD), 5267 (ESORT), 5464
 *             (METADATA), 5465 (NOTIFY), 5258 (LIST-EXTENDED), 5819 (LIST-STATUS),
 *             5957 (SORT=DISPLAY),
 *             6154 (SPECIAL-USE, CREATE-SPECIAL-USE), 6851 (MOVE), 6855
 *             (UTF8=ACCEPT), 7162 (CONDSTORE, QRESYNC), 7888 (LITERAL+, of
 *             which LITERAL- is a part; both are not announced together),
 *             7889 (APPENDLIMIT), 8438 (STATUS=SIZE), 8474 (OBJECTID), 8508
 *             (REPLACE), 8514
 *             (SAVEDATE), 8970 (PREVIEW), 9394 (PARTIAL), 9586
 *             (UIDONLY).
 */
#ifndef PROTO_IMAP_CAPABILITY_H
#define PROTO_IMAP_CAPABILITY_H

/* Before login; STARTTLS, LOGINDISABLED and AUTH= are the front's to add. */
#define IMAP_CAPABILITY_FRONT \
	"IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID IDLE ENABLE"

/* After login. */
#define IMAP_CAPABILITY_SESSION \
	IMAP_CAPABILITY_FRONT " NAMESPACE UIDPLUS MOVE SPECIAL-USE" \
	" CREATE-SPECIAL-USE CHILDREN UNSELECT ESEARCH SEARCHRES" \
	" LIST-EXTENDED LIST-STATUS STATUS=SIZE CONDSTORE QRESYNC BINARY" \
	" MULTIAPPEND QUOTA QUOTA=RES-STORAGE OBJECTID SAVEDATE PREVIEW" \
	" WITHIN UTF8=ACCEPT APPENDLIMIT PARTIAL SORT SORT=DISPLAY ESORT" \
	" THREAD=ORDEREDSUBJECT THREAD=REFERENCES COMPRESS=DEFLATE" \
	" NOTIFY UIDONLY METADATA REPLACE"

#endif
