-- Made by scripts/make-tables; do not edit.
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE job (
	id TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	generation INTEGER NOT NULL,
	spec TEXT NOT NULL,
	facts TEXT NOT NULL,
	state TEXT NOT NULL,
	reason TEXT,
	resume_at DATETIME,
	planned BOOLEAN NOT NULL,
	plan_row BIGINT NOT NULL,
	plan_shard INTEGER NOT NULL,
	plan_fence INTEGER NOT NULL,
	plan_owner TEXT,
	plan_expires_at DOUBLE,
	budget_picousd BIGINT,
	committed_picousd BIGINT NOT NULL,
	learned TEXT NOT NULL,
	created_at DATETIME NOT NULL,
	started_at DATETIME,
	finished_at DATETIME,
	version TEXT NOT NULL, name TEXT, schedule TEXT, cause TEXT, plan_tries INTEGER DEFAULT 0 NOT NULL, output TEXT, kind TEXT,
	CONSTRAINT pk_job PRIMARY KEY (id),
	CONSTRAINT uq_job_fingerprint UNIQUE (fingerprint, generation)
);
CREATE TABLE shard (
	id INTEGER NOT NULL,
	job_id TEXT NOT NULL,
	ordinal INTEGER NOT NULL,
	first_row BIGINT NOT NULL,
	rows INTEGER NOT NULL,
	pieces INTEGER NOT NULL,
	requests INTEGER NOT NULL,
	state TEXT NOT NULL,
	owner TEXT,
	expires_at DOUBLE,
	fence INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	sent_fence INTEGER NOT NULL,
	sent_through INTEGER NOT NULL,
	reserved_picousd BIGINT NOT NULL,
	rows_done INTEGER NOT NULL,
	pieces_done INTEGER NOT NULL,
	answered INTEGER NOT NULL,
	prompt_tokens BIGINT NOT NULL,
	completion_tokens BIGINT NOT NULL,
	cost_picousd BIGINT NOT NULL,
	doubt_requests INTEGER NOT NULL,
	doubt_pieces INTEGER NOT NULL,
	doubt_tokens BIGINT NOT NULL,
	doubt_picousd BIGINT NOT NULL, rows_carried INTEGER DEFAULT 0 NOT NULL, rows_changed INTEGER DEFAULT 0 NOT NULL, rows_failed_before INTEGER DEFAULT 0 NOT NULL, cached_tokens BIGINT DEFAULT 0 NOT NULL, written_tokens BIGINT DEFAULT 0 NOT NULL, reasoning_tokens BIGINT DEFAULT 0 NOT NULL, unstated INTEGER DEFAULT 0 NOT NULL, stated_picousd BIGINT DEFAULT 0 NOT NULL, kept_requests INTEGER DEFAULT 0 NOT NULL, kept_pieces INTEGER DEFAULT 0 NOT NULL, kept_tokens BIGINT DEFAULT 0 NOT NULL,
	CONSTRAINT pk_shard PRIMARY KEY (id),
	CONSTRAINT fk_shard_job_id FOREIGN KEY(job_id) REFERENCES job (id),
	CONSTRAINT uq_shard_job_id UNIQUE (job_id, ordinal)
);
CREATE INDEX ix_shard_claim ON shard (job_id, state, ordinal);
CREATE TABLE shard_payload (
	shard_id INTEGER NOT NULL,
	outline BLOB NOT NULL,
	columns BLOB, checksum BIGINT,
	CONSTRAINT pk_shard_payload PRIMARY KEY (shard_id),
	CONSTRAINT fk_shard_payload_shard_id FOREIGN KEY(shard_id) REFERENCES shard (id)
);
CREATE TABLE checkpoint (
	shard_id INTEGER NOT NULL,
	fence INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	event TEXT NOT NULL,
	results BLOB NOT NULL, bills BLOB, checksum BIGINT,
	CONSTRAINT pk_checkpoint PRIMARY KEY (shard_id, fence, seq),
	CONSTRAINT fk_checkpoint_shard_id FOREIGN KEY(shard_id) REFERENCES shard (id)
);
CREATE TABLE dead_letter (
	job_id TEXT NOT NULL,
	row_number BIGINT NOT NULL,
	chunk INTEGER NOT NULL,
	shard_id INTEGER NOT NULL,
	piece INTEGER NOT NULL,
	row_id TEXT NOT NULL,
	code TEXT NOT NULL,
	message TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	final BOOLEAN NOT NULL,
	CONSTRAINT pk_dead_letter PRIMARY KEY (job_id, row_number, chunk),
	CONSTRAINT fk_dead_letter_job_id FOREIGN KEY(job_id) REFERENCES job (id),
	CONSTRAINT fk_dead_letter_shard_id FOREIGN KEY(shard_id) REFERENCES shard (id)
);
CREATE INDEX ix_dead_letter_shard_id ON dead_letter (shard_id);
CREATE TABLE worker (
	name TEXT NOT NULL,
	host TEXT NOT NULL,
	pid INTEGER NOT NULL,
	version TEXT NOT NULL,
	started_at DATETIME NOT NULL,
	seen_at DATETIME NOT NULL,
	expires_at DOUBLE NOT NULL,
	CONSTRAINT pk_worker PRIMARY KEY (name)
);
CREATE INDEX ix_job_name ON job (name);
CREATE TABLE job_order (
	id TEXT NOT NULL,
	blueprint TEXT NOT NULL,
	fresh BOOLEAN NOT NULL,
	asked_at DATETIME NOT NULL,
	state TEXT NOT NULL,
	schedule TEXT,
	due_at DATETIME,
	job_id TEXT,
	error TEXT,
	owner TEXT,
	expires_at DOUBLE,
	fence INTEGER NOT NULL, forgiven INTEGER DEFAULT 0 NOT NULL,
	CONSTRAINT pk_job_order PRIMARY KEY (id),
	CONSTRAINT uq_job_order_schedule UNIQUE (schedule, due_at)
);
CREATE INDEX ix_job_order_state ON job_order (state, asked_at);
CREATE INDEX ix_job_order_job_id ON job_order (job_id);
CREATE TABLE schedule (
	name TEXT NOT NULL,
	cron TEXT NOT NULL,
	timezone TEXT NOT NULL,
	blueprint TEXT NOT NULL,
	missed TEXT NOT NULL,
	overlap BOOLEAN NOT NULL,
	paused BOOLEAN NOT NULL,
	next_due DATETIME,
	created_at DATETIME NOT NULL,
	CONSTRAINT pk_schedule PRIMARY KEY (name)
);
CREATE INDEX ix_job_created_at ON job (created_at, id);
CREATE TABLE delivery (
	job_id TEXT NOT NULL,
	target TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	cause TEXT,
	exit_code INTEGER,
	next_at DOUBLE,
	cursor BIGINT NOT NULL,
	records BIGINT NOT NULL,
	files TEXT NOT NULL,
	delivered_at DATETIME,
	owner TEXT,
	expires_at DOUBLE,
	fence INTEGER NOT NULL,
	CONSTRAINT pk_delivery PRIMARY KEY (job_id),
	CONSTRAINT fk_delivery_job_id FOREIGN KEY(job_id) REFERENCES job (id)
);
CREATE INDEX ix_delivery_delivered_at ON delivery (delivered_at);
CREATE TABLE shard_prompts (
	shard_id INTEGER NOT NULL,
	prompts BLOB NOT NULL,
	checksum BIGINT NOT NULL,
	CONSTRAINT pk_shard_prompts PRIMARY KEY (shard_id),
	CONSTRAINT fk_shard_prompts_shard_id FOREIGN KEY(shard_id) REFERENCES shard (id)
);
CREATE TABLE shard_hashes (
	shard_id INTEGER NOT NULL,
	contents BLOB,
	ids BLOB,
	CONSTRAINT pk_shard_hashes PRIMARY KEY (shard_id),
	CONSTRAINT fk_shard_hashes_shard_id FOREIGN KEY(shard_id) REFERENCES shard (id)
);
INSERT INTO alembic_version VALUES ('0012');
