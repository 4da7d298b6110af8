"""builds: one active attempt at an image, and who wants it"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _text(name: str, length: int) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length=length), nullable=False, server_default="")


def upgrade() -> None:
    with op.batch_alter_table("builds", schema=None) as batch_op:
        batch_op.add_column(_text("catalog_commit", 40))
        batch_op.add_column(sa.Column("target", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("active", sa.String(length=110), nullable=True))
        batch_op.add_column(
            sa.Column("force", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch_op.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))
        batch_op.add_column(_text("runner", 120))
        batch_op.add_column(sa.Column("runs", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(_text("image", 64))
        batch_op.add_column(sa.Column("created_at", sa.DateTime(), nullable=True))
        batch_op.alter_column("started_at", existing_type=sa.DateTime(), nullable=True)
    # what an older version left unfinished cannot go on: it does not say what the image is of
    op.execute(
        "UPDATE builds SET state = 'FAILED', finished_at = started_at, "
        "message = 'the service was upgraded while this was built: ask for it again' "
        "WHERE state NOT IN ('FINISHED', 'FAILED')"
    )
    op.execute("UPDATE builds SET created_at = started_at")
    op.execute("UPDATE builds SET image = key WHERE state = 'FINISHED'")
    with op.batch_alter_table("builds", schema=None) as batch_op:
        batch_op.alter_column("created_at", existing_type=sa.DateTime(), nullable=False)
        batch_op.create_unique_constraint("uq_builds_active", ["active"])
        for name in ("workflow", "key", "state", "created_at"):
            batch_op.create_index(batch_op.f(f"ix_builds_{name}"), [name], unique=False)
    op.create_table(
        "build_askers",
        sa.Column("build", sa.String(length=80), nullable=False),
        sa.Column("asker", sa.String(length=250), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["build"], ["builds.id"]),
        sa.PrimaryKeyConstraint("build", "asker"),
    )
    with op.batch_alter_table("build_askers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_build_askers_asker"), ["asker"], unique=False)


def downgrade() -> None:
    op.drop_table("build_askers")
    op.execute("UPDATE builds SET started_at = created_at WHERE started_at IS NULL")
    with op.batch_alter_table("builds", schema=None) as batch_op:
        for name in ("created_at", "state", "key", "workflow"):
            batch_op.drop_index(batch_op.f(f"ix_builds_{name}"))
        batch_op.drop_constraint("uq_builds_active", type_="unique")
        batch_op.alter_column("started_at", existing_type=sa.DateTime(), nullable=False)
        for name in ("catalog_commit", "target", "active", "force", "priority", "runner", "runs"):
            batch_op.drop_column(name)
        batch_op.drop_column("image")
        batch_op.drop_column("created_at")
