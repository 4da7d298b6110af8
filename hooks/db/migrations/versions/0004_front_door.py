"""the front door: fates of deliveries, commands, approvals, marks of the forges"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str, length: int) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length=length), nullable=False, server_default="")


def upgrade() -> None:
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(_text("event", 40))
        batch_op.add_column(sa.Column("next_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("handled_at", sa.DateTime(), nullable=True))
        batch_op.create_index("ix_deliveries_lane", ["state", "repository", "number"])
    with op.batch_alter_table("pull_requests", schema=None) as batch_op:
        batch_op.add_column(_text("pusher", 200))
        batch_op.add_column(_text("merge_commit", 40))
        batch_op.add_column(
            sa.Column("draft", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch_op.add_column(
            sa.Column("trusted", sa.Boolean(), nullable=False, server_default=sa.true())
        )
        batch_op.add_column(sa.Column("asked", sa.Integer(), nullable=False, server_default="0"))
        batch_op.create_index("ix_pull_requests_merge", ["repository", "merge_commit"])
    op.create_table(
        "approvals",
        sa.Column("repository", sa.String(length=100), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(length=40), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("sites", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("repository", "number", "head", "by"),
    )
    op.create_table(
        "commands",
        sa.Column("repository", sa.String(length=100), nullable=False),
        sa.Column("remark", sa.String(length=60), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("repository", "remark"),
    )
    op.create_index("ix_commands_pull", "commands", ["repository", "number"])
    op.create_table(
        "forge_marks",
        sa.Column("repository", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("repository", "name"),
    )


def downgrade() -> None:
    for name in ("forge_marks", "commands", "approvals"):
        op.drop_table(name)
    with op.batch_alter_table("pull_requests", schema=None) as batch_op:
        batch_op.drop_index("ix_pull_requests_merge")
        for name in ("pusher", "merge_commit", "draft", "trusted", "asked"):
            batch_op.drop_column(name)
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index("ix_deliveries_lane")
        for name in ("event", "next_at", "handled_at"):
            batch_op.drop_column(name)
