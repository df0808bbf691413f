select * from messages
select * from messages where user_id = :uid
select * from messages where user_id = :user_id or 1=1
select * from messages where not user_id = :user_id
select * from messages where user_id = user_id
select * from messages m join conversations c on c.id = m.conversation_id where c.user_id = :user_id
select * from messages m, conversations c where m.user_id = :user_id
select * from messages m left join conversations c on m.user_id = :user_id where c.user_id = :user_id
select * from messages m left join conversations c on c.user_id = :user_id and m.user_id = :user_id
with messages as (select * from main.messages) select * from messages where user_id = :user_id
with r as (select * from messages) select * from r where user_id = :user_id
select id from messages where user_id = :user_id union all select id from conversations
select (select max(content) from messages) from conversations where user_id = :user_id
select id from conversations c where user_id = :user_id and exists (select 1 from messages m where m.conversation_id = c.id)
select search_text from messages_fts where messages_fts match :match
select f.search_text from messages_fts f join messages m on m.rowid = f.rowid where messages_fts match :match
insert into messages (conversation_id, role, content) values (1, 'user', 't')
insert into messages (user_id, conversation_id) values (:other, 1)
insert into messages (user_id, conversation_id) values (:user_id, 1), (:other, 2)
insert into messages values (:user_id, 1, 2)
insert into messages (user_id, conversation_id, role, content) select user_id, id, 'a', 'b' from conversations
insert or replace into widgets (user_id, id, kind) values (:user_id, :id, :kind)
insert into widgets (id, user_id, kind) values (:id, :user_id, :kind) on conflict (id) do update set kind = excluded.kind
insert into widgets (user_id, id) values (:user_id, :id) on conflict (user_id, id) do update set user_id = :other
update messages set content = 'x'
update messages set content = 'x' where id = :id
update messages set user_id = :other where user_id = :user_id
update messages set content = (select title from conversations limit 1) where user_id = :user_id
delete from messages where id = :id
delete from messages where user_id = :user_id and id in (select id from conversations)
select * from messages where user_id = :user_id; delete from messages
select * from sqlite_master
pragma writable_schema = 1
attach 'x.db' as x
drop table messages
select * from 'messages'
select * from "messages" where id = 1
select * from main . messages
select * from messages /* where user_id = :user_id */
select * from messages -- where user_id = :user_id
select * from messages where user_id = ':user_id'
select * from messages where case when user_id = :user_id then 1 else 1 end
select * from messages m natural join conversations where m.user_id = :user_id
select * from messages m full join conversations c on c.user_id = m.user_id where m.user_id = :user_id
select * from messages where user_id in (:user_id, :other)
select * from messages where (user_id = :user_id) in (0, 1)
select m.* from (select * from messages) m where m.user_id = :user_id
explain select * from messages
table messages
values ((select content from messages limit 1))
select * from conversations c where user_id = :user_id order by (select content from messages limit 1)
select * from conversations where user_id = :user_id limit (select count(*) from messages)
select * from messages m where exists (select 1 where m.user_id = :user_id or 1)
select count(*) filter (where user_id = :user_id) from messages
select * from messages group by id having user_id = :user_id
insert into attempts (key, arrival) select content, 1 from messages
insert into messages (user_id, conversation_id, role, content) values (:user_id, 1, 'u', (select title from conversations limit 1))
insert into widgets (user_id, id, kind) values (:user_id, 'a', 'b') returning (select content from messages limit 1)
update users set name = (select max(content) from messages) where id = :user_id
select email from users
select email from users where id <> :user_id
update users set role = 'admin' where email = :email
delete from sessions where id = :session_id
select * from waiting where user_id <> :user_id
select served from shares
